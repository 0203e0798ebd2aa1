"""What the tables of a database refuse of the rows that are written to them: constraints, unique indexes, triggers, rules."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection

from pgyoyo.queries import named

_QUERIES = Path(__file__).with_name("guards.sql")


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `limits` is its type with length and precision, a domain's base type; `demands` are those of its domains.

    `value` is what it has where none is given, or is computed from; `counted`: it has an identity.
    """

    number: int
    name: str
    type: str
    limits: str
    required: bool
    computed: bool
    counted: bool
    value: str | None
    demands: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Check:
    """A CHECK constraint that is enforced, for new rows at least."""

    oid: int
    name: str
    text: str
    columns: frozenset[int]


@dataclass(frozen=True, slots=True)
class Key:
    """A unique index, or one of an exclusion constraint, whose definition is `text`; `keys` are its columns."""

    oid: int
    name: str
    unique: bool
    keys: tuple[str, ...]
    text: str
    where: str | None
    nulls_equal: bool
    deferred: bool
    columns: frozenset[int]


@dataclass(frozen=True, slots=True)
class Link:
    """A foreign key of `table` to `target`; the actions are those of pg_constraint: a, r, c, n, d."""

    oid: int
    table: int
    name: str
    columns: tuple[int, ...]
    target: int
    targets: tuple[int, ...]
    deferred: bool
    on_delete: str
    on_update: str
    of_partition: bool


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger that fires; `type` is pg_trigger.tgtype, `columns` those of UPDATE OF, `definition` that of its function."""

    oid: int
    name: str
    type: int
    columns: frozenset[int]
    condition: str | None
    function: str
    language: str
    body: str
    definition: str


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of row-level security; `command` is pg_policy.polcmd, `roles` those it is for, all of them if `public`."""

    name: str
    command: str
    permissive: bool
    public: bool
    roles: str
    using: str | None
    check: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view (kind v) with what stands between a row and it; `bound` is that of a partition.

    `rights` are role, privilege and column, "" for all of them; USAGE is that of its schema. `secured`: row-level security
    is on.
    """

    oid: int
    kind: str
    name: str
    qualified: str
    definition: str | None
    checked: bool
    parents: tuple[int, ...]
    bound: str | None
    columns: Mapping[int, Column]
    checks: tuple[Check, ...]
    keys: tuple[Key, ...]
    links: tuple[Link, ...]
    triggers: tuple[Trigger, ...]
    rules: tuple[str, ...]
    rights: frozenset[tuple[str, str, str]]
    secured: bool
    policies: frozenset[Policy]

    def numbers(self, names: Sequence[str]) -> tuple[int, ...]:
        """The columns of these names, those that it has."""
        by_name = {column.name: column.number for column in self.columns.values()}
        return tuple(by_name[name] for name in names if name in by_name)


@dataclass(frozen=True, slots=True)
class Guards:
    """The tables and views of a database by OID, and the foreign keys by the table that they refer to."""

    tables: Mapping[int, Table]
    referring: Mapping[int, tuple[Link, ...]]

    def counterpart(self, table: Table) -> Table | None:
        """The same table here: by its OID, else by its name."""
        if table.oid in self.tables:
            return self.tables[table.oid]
        return next((each for each in self.tables.values() if each.qualified == table.qualified), None)

    def below(self, table: Table) -> Iterator[Table]:
        """The partitions and children of a table, and those of them."""
        for each in self.tables.values():
            if table.oid in each.parents:
                yield each
                yield from self.below(each)


def read(conn: Connection) -> Guards:
    """What stands in the catalog now; reads only."""
    row = conn.execute(named(_QUERIES)["guards"].encode()).fetchone()
    assert row
    facts: dict[str, Any] = row[0]
    checks = _by_table(facts["checks"], lambda each: Check(
        each["oid"], each["name"], each["text"], frozenset(each["columns"] or ())))  # fmt: skip
    keys = _by_table(facts["keys"], lambda each: Key(
        each["oid"], each["name"], each["unique"], tuple(each["keys"]), each["text"], each["where"], each["nulls_equal"],
        each["deferred"], frozenset(each["columns"] or ())))  # fmt: skip
    links = _by_table(facts["links"], _link)
    triggers = _by_table(facts["triggers"], lambda each: Trigger(
        each["oid"], each["name"], each["type"], frozenset(each["columns"]), each["condition"], each["function"],
        each["language"], each["body"], each["definition"]))  # fmt: skip
    rules = _by_table(facts["rules"], lambda each: str(each["text"]))
    tables = {
        each["oid"]: Table(
            each["oid"], each["kind"], each["name"], each["qualified"], each["definition"], each["checked"],
            tuple(each["parents"] or ()), each["bound"],
            {column["number"]: _column(column) for column in each["columns"] or ()},
            checks.get(each["oid"], ()), keys.get(each["oid"], ()), links.get(each["oid"], ()),
            triggers.get(each["oid"], ()), rules.get(each["oid"], ()),
            frozenset((role, privilege, column) for role, privilege, column in each["rights"] or ()),
            each["secured"], frozenset(Policy(*policy) for policy in each["policies"] or ()),
        )
        for each in facts["tables"] or ()
    }  # fmt: skip
    referring: dict[int, tuple[Link, ...]] = {}
    for link in (link for of_table in links.values() for link in of_table if not link.of_partition):
        referring[link.target] = (*referring.get(link.target, ()), link)
    return Guards(tables, referring)


def _by_table(rows: Sequence[dict[str, Any]] | None, made: Any) -> dict[int, tuple[Any, ...]]:
    result: dict[int, tuple[Any, ...]] = {}
    for each in rows or ():
        result[each["table"]] = (*result.get(each["table"], ()), made(each))
    return result


def _link(row: dict[str, Any]) -> Link:
    return Link(
        row["oid"], row["table"], row["name"], tuple(row["columns"]), row["target"], tuple(row["targets"]), row["deferred"],
        row["on_delete"], row["on_update"], row["of_partition"],
    )  # fmt: skip


def _column(row: dict[str, Any]) -> Column:
    demands = tuple((name, text) for name, text in row["demands"] or ())
    return Column(
        row["number"], row["name"], row["type"], row["limits"], row["required"], row["computed"], row["counted"],
        row["value"], demands,
    )  # fmt: skip
