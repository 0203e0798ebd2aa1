"""Statements that take whole rows of their table (*, t.*, t), whose partitions may have the columns in another order."""

from collections.abc import Sequence

from psycopg import Connection

from pgyoyo.backfill.queries import queries
from pgyoyo.backfill.tables import Targets
from pgyoyo.sql import tree
from pgyoyo.sql.batched import Batched, RefusedError
from pgyoyo.sql.tree import Node


def refuse_other_columns(conn: Connection, targets: Targets) -> None:
    """Raise RefusedError where a batch, which names a partition or child in place of the table, would take another row."""
    if not targets.split or not targets.tables or not (whole := _whole_row(targets.slice)):
        return
    parent = _columns(conn, targets.slice.name)
    for table in targets.tables:
        if _columns(conn, table.name) != parent:
            raise RefusedError(
                targets.slice.line, f"can't run in batches: it takes whole rows ({whole}), and {table.name} has other "
                f"columns than {targets.slice.table}, or the same in another order; name the columns")  # fmt: skip


def _columns(conn: Connection, table: str) -> Sequence[tuple[str]]:
    return conn.execute(queries()["columns"].encode(), {"table": table}).fetchall()


def _whole_row(batched: Batched) -> str:
    """What stands for a whole row of its table; empty if nothing does."""
    node = tree.parse(batched.text)
    if node is None:
        return ""
    if batched.VERB == "insert":
        items = [tree.unwrap(tree.unwrap(item).val) for item in tree.unwrap(node.select_stmt).target_list]
        if any(names_of(item) == ["*"] for item in items):
            return "*"
    for part in tree.walk(node):
        names = names_of(part)
        if names == [batched.alias] or names[-2:] == [batched.alias, "*"]:
            return ".".join(names)
    return ""


def names_of(node: Node) -> list[str]:
    """The parts of the name that a column reference gives, a star as such; none for anything else."""
    if tree.kind(node) != "ColumnRef":
        return []
    fields = [tree.unwrap(field) for field in node.fields]
    return ["*" if tree.kind(field) == "A_Star" else field.sval for field in fields]
