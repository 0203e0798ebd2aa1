"""The tables whose rows a backfill updates, and whether the catalog lets it do that in batches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from pgyoyo.queries import named
from pgyoyo.sql.update import RefusedError, RepeatableUpdate, quoted

# A table that every batch reads from its first page to its last may have this many bytes.
SMALL = 16 << 20
# Blocks of other tables that a row of a batch may cost, besides.
_BLOCKS = 50


def queries() -> Mapping[str, str]:
    """The named queries of backfill.sql."""
    return named(Path(__file__).with_name("backfill.sql"))


@dataclass(frozen=True, slots=True)
class Table:
    """One table as the catalog has it; `others` are the columns that the UPDATE does not set, `keys` those of its own
    columns that identify rows or choose their partition, `definitions` those of the triggers that have a WHEN.
    """

    oid: int
    name: str
    relname: str
    kind: str
    method: str | None
    filenode: int | None
    pages: int
    secured: bool
    rule: str | None
    triggers: list[str]
    definitions: list[str]
    others: list[str]
    not_null: list[str]
    keys: list[str]
    references_others: bool
    volatile: str | None


@dataclass(frozen=True, slots=True)
class Targets:
    """The tables that hold the rows; `split` where they are partitions or children of the one that is named.

    `slice` is what is to be sent to each, which may ask for more than the file's own says.
    """

    tables: tuple[Table, ...]
    split: bool
    slice: RepeatableUpdate
    findings: tuple[str, ...]
    # All that the UPDATE reaches by their oids, parents that hold no rows too.
    reached: tuple[int, ...] = ()

    def member(self, table: Table) -> str | None:
        """The table's name where the statement has to name it in place of its own."""
        return table.name if self.split else None


def find(conn: Connection, update: RepeatableUpdate, *, skip_triggers: bool) -> Targets:
    """The tables that the UPDATE reaches; writes nothing. Raises RefusedError for what the catalog rules out."""
    values = {
        "table": update.name,
        "only": update.only,
        "columns": list(update.columns),
        "functions": list(update.functions),
    }
    cursor = conn.cursor(row_factory=class_row(Table))
    candidates: Sequence[Table] = cursor.execute(queries()["tables"].encode(), values).fetchall()
    for table in candidates:
        _check(update, table)
    findings = list(update.findings)
    if maybe := sorted(
        name for name in update.premise.columns if any(name not in table.not_null for table in candidates)
    ):
        update = update.without_nulls(maybe[0])
        findings.append(
            f"{maybe[0]} may be NULL; rows whose new value is NULL are left as they are, since they have it"
        )
    for schema, name in update.also_reads:
        view = ".".join(quoted(part) for part in (schema, name) if part)
        reads = _rows(conn, "view_of", {"view": view, "tables": [table.oid for table in candidates]})
        if reads[0][0]:
            raise RefusedError(
                update.line, f"can't run in batches: it reads {name}, a view of the very table it updates"
            )
    if skip_triggers:
        if any(table.references_others for table in candidates):
            raise RefusedError(
                update.line, "it sets a column of a foreign key, and with its triggers skipped nothing would check that; "
                'use "triggers fire"')  # fmt: skip
        allowed = _rows(conn, "is_superuser" if conn.info.server_version < 150000 else "may_skip_triggers", {})
        if not allowed[0][0]:
            raise RefusedError(
                update.line, '"triggers skip" needs a superuser, or, from PostgreSQL 15 on, '
                f'GRANT SET ON PARAMETER session_replication_role TO {quoted(conn.info.user)}')  # fmt: skip
    tables = tuple(table for table in candidates if table.kind == "r")
    return Targets(
        tables, len(candidates) > 1 or not tables, update, tuple(findings), tuple(table.oid for table in candidates)
    )


def _check(update: RepeatableUpdate, table: Table) -> None:
    kinds = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}
    reason = ""
    if table.kind in kinds:
        reason = f"{table.name} is {kinds[table.kind]}; only a table's own rows can be addressed by their pages"
    elif table.kind == "r" and table.method != "heap":
        reason = f"{table.name} is stored by the access method {table.method}, not heap"
    elif table.secured:
        reason = f"row security hides rows of {table.name} from this role; use a role that owns it or has BYPASSRLS"
    elif table.rule:
        reason = f"the rule {table.rule} on {table.name} rewrites its UPDATEs"
    elif table.keys:
        reason = (
            f"it sets {table.keys[0]}, which identifies the rows of {table.name} or chooses their partition: "
            "between two batches keys could collide that don't at the end"
        )
    elif table.volatile:
        reason = f"its WHERE calls {table.volatile}(), which is volatile"
    if reason:
        raise RefusedError(update.line, f"can't run in batches: {reason}")


def plan_faults(conn: Connection, plan: Any, targets: Targets) -> list[str]:
    """What is wrong with a batch's plan (EXPLAIN's JSON): tables that each batch would read as a whole."""
    faults = []
    own = {table.relname for table in targets.tables}
    nodes = [plan[0]["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if "Relation Name" not in node or node["Node Type"] == "ModifyTable":
            continue
        name, kind = node["Relation Name"], node["Node Type"]
        if name in own:
            if kind not in ("Tid Scan", "Tid Range Scan"):
                faults.append(f"each batch would read the whole of {name} ({kind})")
        elif kind == "Seq Scan":
            row = _rows(conn, "biggest", {"name": name})[0]
            if (row[0] or 0) > SMALL:
                faults.append(
                    f"each batch would read the whole of {name}; it needs an index on what they are joined by"
                )
    return faults


def block_faults(plan: Any, targets: Targets) -> list[str]:
    """What a trial batch read of other tables (EXPLAIN ANALYZE's JSON), where that is far more than its rows need."""
    own = {table.relname for table in targets.tables}
    blocks: dict[str, int] = {}
    nodes, rows = [plan[0]["Plan"]], 0.0
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        name = node.get("Relation Name", node.get("Index Name"))
        if node["Node Type"] in ("Tid Scan", "Tid Range Scan") and name in own:
            rows += node["Actual Rows"] * node["Actual Loops"]
        elif name and name not in own:
            blocks[name] = blocks.get(name, 0) + node["Shared Hit Blocks"] + node["Shared Read Blocks"]
    return [
        f"a trial batch read {count:,} blocks of {name} for {rows:,.0f} rows; it needs an index on what they are joined by"
        for name, count in blocks.items()
        if count > SMALL // 8192 + _BLOCKS * rows
    ]


def _rows(conn: Connection, name: str, values: dict[str, Any]) -> list[Any]:
    return conn.execute(queries()[name].encode(), values).fetchall()
