"""Which columns an application's INSERT leaves out though they have to have a value."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import Connection, sql

from pgyoyo.sql import tree

# The columns of a table in their order: whether each has to be given, and whether a trigger may set it before.
_COLUMNS = """\
SELECT a.attname::pg_catalog.text,
       (a.attnotnull OR t.typnotnull) AND NOT a.atthasdef AND a.attidentity OPERATOR(pg_catalog.=) ''
           AND t.typdefault IS NULL,
       EXISTS (
           SELECT FROM pg_catalog.pg_trigger AS g
           WHERE g.tgrelid OPERATOR(pg_catalog.=) a.attrelid AND NOT g.tgisinternal
             AND (g.tgtype::pg_catalog.int4 OPERATOR(pg_catalog.&) 7) OPERATOR(pg_catalog.=) 7)
FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
WHERE a.attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%s)::pg_catalog.oid
  AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped ORDER BY a.attnum
"""


@dataclass(frozen=True, slots=True)
class Missing:
    """The columns that must have a value and are not named; `uncertain` where a trigger may set them."""

    columns: frozenset[str] = frozenset()
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class _Insert:
    """The table of an INSERT, quoted; its columns, or how many of them get a value (None: not known)."""

    table: str
    names: tuple[str, ...] = ()
    count: int | None = 0


def missing(conn: Connection, texts: Sequence[str]) -> list[Missing]:
    """What each statement leaves out as the schema is now; nothing for one that is no INSERT. Reads only, a query a table."""
    inserts = [_insert(text) for text in texts]
    tables = {insert.table for insert in inserts if insert}
    columns = {table: conn.execute(_COLUMNS, [table]).fetchall() for table in sorted(tables)}
    return [_missing(insert, columns[insert.table]) if insert else Missing() for insert in inserts]


def _missing(insert: _Insert, columns: Sequence[tuple[str, bool, bool]]) -> Missing:
    given = set(insert.names or (name for name, _, _ in columns[: insert.count]))
    left = frozenset(name for name, required, _ in columns if required and name not in given)
    return Missing(left, any(triggered for _, _, triggered in columns))


def _insert(text: str) -> _Insert | None:
    node, error = tree.parse_or_error(text)
    if error or node is None or tree.kind(node) != "InsertStmt":
        return None
    parts = [part for part in (node.relation.schemaname, node.relation.relname) if part]
    table = sql.Identifier(*parts).as_string()
    if node.cols:
        return _Insert(table, tuple(tree.unwrap(column).name for column in node.cols))
    if not node.HasField("select_stmt"):
        return _Insert(table)  # DEFAULT VALUES
    rows = tree.unwrap(node.select_stmt).values_lists
    return _Insert(table, count=len(tree.unwrap(rows[0]).items) if rows else None)
