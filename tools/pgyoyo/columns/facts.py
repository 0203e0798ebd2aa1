"""What is known of a column and of what belongs to it, read from a database that all migrations made."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import dict_row

from pgyoyo.columns.wanted import Wanted
from pgyoyo.engine import failures
from pgyoyo.errors import UsageError, closest
from pgyoyo.queries import named
from pgyoyo.sql.lexer import folded

_QUERIES = Path(__file__).with_name("facts.sql")
_LONGEST = 63  # bytes of a name
_FACTS = (
    "oid", "table", "bare_table", "place", "name", "bare", "type", "not_null", "default", "identity", "comment",
    "triggers", "last_trigger", "sequence",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Index:
    """An index with the column in it; `definition` is that of pg_get_indexdef."""

    name: str
    bare: str
    definition: str
    is_unique: bool
    is_primary: bool
    is_constraint: bool
    comment: str | None = None

    def commented(self, name: str) -> list[str]:
        """The statement that gives an index of that name, perhaps with a schema, the comment of this one, if there is one."""
        return [] if self.comment is None else [f"COMMENT ON INDEX {name} IS {_literal(self.comment)}"]

    @property
    def rest(self) -> str:
        """The definition from the method on, as "btree (id)"."""
        return self.definition.partition(" USING ")[2]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A check or foreign key of the column, or, with `refers`, a foreign key of `table` that refers to it.

    `may_refuse_null`: it is a check that a row without a value in the column may not pass.
    """

    name: str
    bare: str
    table: str
    definition: str
    refers: bool
    may_refuse_null: bool


@dataclass(frozen=True, slots=True)
class Column:
    """A column in use; names are SQL, those called `bare` as in the catalog. `place` stands before what is made beside the
    table: its schema and a dot, or nothing where the search_path leads there.

    `triggers` are those of the table that fire as usual, `last_trigger` is the bare name of its last one. `sequence` is that
    of an identity column or a serial one, with `options` as ADD GENERATED takes them.
    """

    oid: int
    table: str
    bare_table: str
    place: str
    name: str
    bare: str
    type: str
    not_null: bool
    default: str | None
    identity: str
    comment: str | None
    triggers: Sequence[str]
    last_trigger: str | None
    sequence: str | None = None
    sequence_name: str = ""
    options: str = ""
    indexes: Sequence[Index] = ()
    constraints: Sequence[Constraint] = ()
    has_equality: bool = True
    taken: set[str] = field(default_factory=set)

    def commented(self, name: str) -> list[str]:
        """The statement that gives the column of that name the comment of this one, if there is one."""
        return [] if self.comment is None else [f"COMMENT ON COLUMN {self.table}.{name} IS {_literal(self.comment)}"]

    def uncommented(self, name: str) -> list[str]:
        """The statement that takes it away again."""
        return [] if self.comment is None else [f"COMMENT ON COLUMN {self.table}.{name} IS NULL"]


def read(conn: Connection, wanted: Wanted) -> Column:
    """The column; raises UsageError where it is not there, or something depends on it that the way can't carry along."""
    queries = named(_QUERIES)
    with conn.cursor(row_factory=dict_row) as cursor:

        def rows(query: str, /, **parameters: Any) -> list[dict[str, Any]]:
            return cursor.execute(queries[query].encode(), parameters).fetchall()

        try:
            matches = rows("column", table=wanted.table, column=wanted.column)
        except psycopg.Error as error:
            raise UsageError(f'"{wanted.table}" is no name of a table: {failures.server_words(error)}') from None
        if not matches:
            names = [row["attname"] for row in rows("columns", table=wanted.table)]
            raise UsageError(_not_there(wanted, names))
        [facts] = matches
        place = {"oid": facts["oid"], "number": facts["number"]}
        indexes, constraints = rows("indexes", **place), rows("constraints", **place)
        others = [next(iter(row.values())) for row in rows("others", **place)]
        if wanted.name:
            others += [
                f"the function of {row['words']}"
                for row in rows("triggers", oid=facts["oid"])
                if _uses(row["body"], wanted)
            ]
        sequence = rows("sequence", name=facts["sequence"]) if facts["sequence"] else []
        _refuse(facts, indexes, constraints, others)
        has_equality = _runs(
            conn, f"SELECT FROM {facts['table']} WHERE {facts['name']} IS DISTINCT FROM {facts['name']}"
        )
    counted = sequence[0] if sequence else {"name": "", "options": ""}
    return Column(
        **{name: facts[name] for name in _FACTS}, sequence_name=counted["name"], options=counted["options"],
        indexes=[Index(**{name: row[name] for name in Index.__dataclass_fields__}) for row in indexes],
        constraints=[Constraint(**{name: row[name] for name in Constraint.__dataclass_fields__}) for row in constraints],
        has_equality=has_equality,
    )  # fmt: skip


def type_of(conn: Connection, column: Column, text: str) -> str:
    """The type as the server writes it; raises UsageError for one that it does not know, and for the one that it has."""
    with conn.transaction(force_rollback=True), conn.cursor(row_factory=dict_row) as cursor:
        try:
            cursor.execute(f"ALTER TABLE {column.table} ADD COLUMN pgyoyo_new_type {text}".encode())
            query = named(_QUERIES)["column"].encode()
            [row] = cursor.execute(query, {"table": column.table, "column": "pgyoyo_new_type"}).fetchall()
            if row["default"] is not None:
                raise UsageError(f'"{text}" is a type and a sequence; write its type alone, such as bigint')
            cursor.execute(f"SELECT {column.name}::{text} FROM {column.table}".encode())
        except psycopg.Error as error:
            raise UsageError(f'{column.bare} can\'t become "{text}": {failures.server_words(error)}') from None
    if row["type"] == column.type:
        raise UsageError(f"{column.table}.{column.name} is of the type {column.type} already")
    return str(row["type"])


def casts_back(conn: Connection, column: Column, new: str) -> bool:
    """Whether a value of the new type can be cast to the type that the column has."""
    return _runs(conn, f"SELECT NULL::{new}::{column.type}")


def compares(conn: Connection, kind: str) -> bool:
    """Whether two values of a type can be compared, as those of json can't."""
    return _runs(conn, f"SELECT NULL::{kind} IS DISTINCT FROM NULL::{kind}")


def free(conn: Connection, column: Column, name: str) -> str:
    """The name as SQL, shortened to fit, or the first with a number behind it that nothing has; it is taken from then on."""
    for number in ("", *map(str, range(2, 100))):
        cut = name.encode()[: _LONGEST - len(number)].decode(errors="ignore") + number
        quoted, is_taken = named_as(conn, column, cut)
        if not is_taken:
            column.taken.add(cut)
            return quoted
    raise UsageError(f'no name like "{name}" is free beside {column.table}')


def named_as(conn: Connection, column: Column, name: str) -> tuple[str, bool]:
    """The name as SQL, and whether something has it already in the table's schema, or as a column of the table."""
    [(quoted, is_taken)] = conn.execute(named(_QUERIES)["name"].encode(), {"name": name, "oid": column.oid}).fetchall()
    return quoted, is_taken or name in column.taken


def _literal(text: str) -> str:
    quoted = text.replace("'", "''")
    return f"'{quoted}'"


def _not_there(wanted: Wanted, names: Sequence[str]) -> str:
    if not names:
        return f'the migrations make no table "{wanted.table}"'
    near = closest(wanted.column, names)
    return f'{wanted.table} has no column "{wanted.column}"' + (
        f"; did you mean {near}?" if near else f": {', '.join(names)}"
    )


def _refuse(
    facts: Mapping[str, Any],
    indexes: Sequence[Mapping[str, Any]],
    constraints: Sequence[Mapping[str, Any]],
    others: Sequence[str],
) -> None:
    """Raises UsageError, with all reasons, for what these files would not carry along."""
    reasons = []
    if facts["kind"] != "r" or facts["is_inherited"] or facts["has_children"]:
        reasons.append(
            "it is no plain table: partitioned, a partition, inherited from, foreign, or a view; or inherits the column"
        )
    if facts["generated"]:
        reasons.append("the column is generated")
    if facts["is_collated"]:
        reasons.append("the column has a collation of its own")
    if facts["is_tuned"]:
        reasons.append("the column has STATISTICS, STORAGE, COMPRESSION or options of its own")
    if facts["has_grants"]:
        reasons.append("privileges were granted on the column")
    reasons += [
        f"the index {row['bare']} is deferrable, invalid or of an exclusion constraint"
        for row in indexes
        if row["is_odd"]
    ]
    reasons += [f"the index {row['bare']} is the replica identity, or CLUSTER's" for row in indexes if row["is_marked"]]
    reasons += [
        f"the constraint {row['bare']} of {row['table']} is deferrable, not validated or of a partitioned table"
        for row in constraints
        if row["is_odd"]
    ]
    reasons += [
        f"the foreign key {row['bare']} is on the column and refers to it" for row in constraints
        if row["refers"] and row["is_own"]
    ]  # fmt: skip
    reasons += [f"{words} depends on it" for words in others]
    if reasons:
        lines = "\n".join(f"  {reason}" for reason in reasons)
        raise UsageError(
            f"{facts['table']}.{facts['name']} needs more than these files do; write them by hand:\n{lines}"
        )


def _uses(body: str, wanted: Wanted) -> bool:
    """Whether a trigger's function has the column in NEW or OLD, which has no column of that name in the end."""
    names = re.findall(r'(?i)\b(?:new|old)\s*\.\s*("(?:[^"]|"")+"|[\w$]+)', body)
    return wanted.column in map(folded, names)


def _runs(conn: Connection, text: str) -> bool:
    """Whether the server takes the statement; nothing of it is left."""
    try:
        with conn.transaction(force_rollback=True):
            conn.execute(text.encode())
    except psycopg.Error:
        return False
    return True
