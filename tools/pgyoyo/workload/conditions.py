"""What each row of a table has to satisfy, as SQL conditions on its columns, and which of them a migration brought."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import Connection, sql

from pgyoyo.workload.guards import Column, Table

_LIMITS = re.compile(
    r"(?P<type>character varying|character|numeric|bit|bit varying)\((?P<size>\d+)(?:,(?P<scale>-?\d+))?\)"
)
_VALUE = re.compile(r"\bVALUE\b")
_NARROW = {"smallint": 1 << 15, "integer": 1 << 31}
_REFUTED = "One-Time Filter: false"


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on a row; `kind` is check, not null, domain or type, `name` that of the constraint or the type."""

    kind: str
    name: str
    text: str
    columns: frozenset[int]
    oid: int = 0

    def is_in(self, before: Table, now: Table) -> bool:
        """Whether the table had it already, perhaps under another name."""
        return any(
            (self.oid and self.oid == each.oid)
            or (self.kind == each.kind and self.text == each.text)
            or (self.kind == each.kind == "not null" and before.oid == now.oid and self.columns == each.columns)
            for each in conditions(before)
        )


def conditions(table: Table) -> Iterator[Condition]:
    """All that its rows have to satisfy by themselves."""
    for check in table.checks:
        yield Condition("check", check.name, check.text, check.columns, check.oid)
    for column in table.columns.values():
        quoted = sql.Identifier(column.name).as_string()
        only = frozenset((column.number,))
        if column.required:
            yield Condition("not null", column.name, f"{quoted} IS NOT NULL", only)
        for name, text in column.demands:
            kind = "not null" if text == "VALUE IS NOT NULL" else "domain"
            yield Condition(kind, column.name if kind == "not null" else name, quoted.join(_VALUE.split(text)), only)
        if text := _within(column, quoted):
            yield Condition("type", column.name, text, only)


def _within(column: Column, quoted: str) -> str:
    """What the length or precision of its type means."""
    if column.limits in _NARROW and not column.computed:
        most = _NARROW[column.limits]
        return f"{quoted} >= -{most} AND {quoted} < {most}"
    if not (match := _LIMITS.fullmatch(column.limits)):
        return ""
    size = int(match["size"])
    match match["type"]:
        case "numeric":
            return f"pg_catalog.abs({quoted}) < 1e{size - int(match['scale'] or 0)}"
        case "bit":
            return f"pg_catalog.length({quoted}) = {size}"
        case "bit varying":
            return f"pg_catalog.length({quoted}) <= {size}"
    return f"pg_catalog.char_length({quoted}) <= {size}"


def new(conn: Connection, before: Table | None, now: Table) -> list[Condition]:
    """Those that the rows of before need not have satisfied: not the same, and not implied by them.

    PostgreSQL's planner says what is implied, on an empty temporary table that is rolled back.
    """
    fresh = [each for each in conditions(now) if before is None or not each.is_in(before, now)]
    if not fresh or before is None:
        return fresh
    name = sql.Identifier("pg_temp", "pgyoyo_row").as_string()
    with conn.transaction(force_rollback=True):
        conn.execute("SET LOCAL constraint_exclusion = on")
        columns = [f"{sql.Identifier(each.name).as_string()} {each.type}" for each in now.columns.values()]
        if not _attempt(conn, f"CREATE TABLE {name} ({', '.join(columns)})", "made"):
            return fresh
        for each in conditions(before):
            _attempt(conn, f"ALTER TABLE {name} ADD CHECK ({each.text})")
        return [
            each for each in fresh
            if _REFUTED not in _attempt(conn, f"EXPLAIN (COSTS OFF) SELECT FROM {name} WHERE NOT ({each.text})")
        ]  # fmt: skip


def _attempt(conn: Connection, text: str, done: str = "") -> str:
    """The lines of a statement's answer, `done` where it has none, "" where it fails: the table has another column now."""
    try:
        with conn.transaction():
            cursor = conn.execute(text.encode())
            return "\n".join(line for (line,) in cursor) if cursor.description else done
    except psycopg.Error:
        return ""


def is_violated(conn: Connection, condition: Condition, table: Table) -> bool:
    """Whether a row that is there does not satisfy the condition."""
    return bool(_attempt(conn, f"SELECT 'violated' FROM {table.qualified} WHERE NOT ({condition.text}) LIMIT 1"))  # noqa: S608 - as above


def has_value(conn: Connection, table: Table, columns: Sequence[int]) -> bool:
    """Whether there is a row in which all of these columns have values."""
    have = " AND ".join(f"{sql.Identifier(table.columns[number].name).as_string()} IS NOT NULL" for number in columns)
    return bool(_attempt(conn, f"SELECT 'filled' FROM {table.qualified} WHERE {have} LIMIT 1"))  # noqa: S608 - as above


def holds(conn: Connection, text: str, table: Table, values: Mapping[int, str], more: str = "") -> bool | None:
    """Whether a row with these values, SQL expressions by column, satisfies the condition; None: it can't be computed.

    `more` stands in the FROM behind the row, which is called new.
    """
    parts = [
        f"CAST({value} AS {table.columns[number].type}) AS {sql.Identifier(table.columns[number].name).as_string()}"
        for number, value in values.items()
    ]
    query = f"SELECT ({text}) IS NOT FALSE FROM (SELECT {', '.join(parts)}) AS new{more}"  # noqa: S608 - the catalog's own
    try:
        with conn.transaction(force_rollback=True):
            row = conn.execute(query.encode()).fetchone()
    except psycopg.Error:
        return None
    return bool(row and row[0])
