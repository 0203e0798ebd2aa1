"""What the rules ask of the catalog before and after a migration: tables, keys, indexes, policies, publications."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from psycopg import Connection

from pgyoyo.queries import named
from pgyoyo.review.observation import KINDS
from pgyoyo.review.relation_names import parts
from pgyoyo.review.sheet import Relation
from pgyoyo.sql.tree import Node

_QUERIES = Path(__file__).with_name("catalog_facts.sql")


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `counted`: a sequence gives its values, `domain`: its type is one.

    `required`: it is NOT NULL; `given`: it has a default, or is an identity column or a generated one.
    """

    name: str
    type: str
    counted: bool
    domain: bool
    required: bool
    given: bool


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy of row security: `command` is r, a, w, d, or * (all), `using` and `checks` are SQL as the server writes it."""

    name: str
    permissive: bool
    command: str
    roles: frozenset[str]
    using: str | None
    checks: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view; `has_default`: it has a default
    partition. `columns` and `key`, the primary key, are by number. `published`: its UPDATEs or DELETEs are.

    `identified`: its rows are distinguishable in what is published (REPLICA IDENTITY). `writable`: what a view takes,
    as pg_relation_is_updatable gives it.
    """

    oid: int
    name: str
    kind: str
    partition: bool
    has_default: bool
    secured: bool
    forced: bool
    policies: tuple[Policy, ...]
    writable: int
    published: bool
    key: tuple[int, ...]
    identified: bool
    columns: Mapping[int, Column]

    @property
    def hides_all(self) -> bool:
        """Whether row security hides every row, since no policy lets any through."""
        return self.secured and not self.policies


@dataclass(frozen=True, slots=True)
class Index:
    """An index that is not part of a partitioned one; `keys` are its columns with their operator classes and options."""

    oid: int
    name: str
    table: int
    unique: bool
    primary: bool
    valid: bool
    constraint: bool
    method: str
    where: str | None
    keys: tuple[str, ...]
    include: int


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key; `targets`: the columns that it points to; `indexed`: an index finds the rows by its columns."""

    oid: int
    name: str
    table: int
    references: int
    columns: tuple[str, ...]
    targets: tuple[int, ...]
    indexed: bool


@dataclass(frozen=True, slots=True)
class Publication:
    """What it sends: `events` (INSERT, …), and by the OID of a table its columns and row filter, None before PostgreSQL 15.

    `root`: changes of partitions are sent as those of the partitioned table.
    """

    name: str
    root: bool
    events: tuple[str, ...]
    tables: Mapping[int, tuple[frozenset[str] | None, str | None]]


@dataclass(frozen=True, slots=True)
class SequenceFacts:
    """A sequence; `feeds`: the columns that it gives a default or that it belongs to, by table and number."""

    name: str
    step: int
    least: int
    most: int
    cycle: bool
    feeds: frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class State:
    """The catalog at one moment, by OID. `disabled`: (table, trigger or rule). `functions`: those whose results are stored.

    Of these: (name, what stores them, a hash of the definition). `bodies`: the source text of functions by signature.
    `timezone`: the one that the database is set to, if it is.
    """

    tables: Mapping[int, Table] = field(default_factory=dict)
    indexes: Mapping[int, Index] = field(default_factory=dict)
    foreign_keys: Mapping[int, ForeignKey] = field(default_factory=dict)
    disabled: frozenset[tuple[int, str]] = frozenset()
    functions: Mapping[int, tuple[str, tuple[str, ...], str]] = field(default_factory=dict)
    bodies: Mapping[str, str] = field(default_factory=dict)
    timezone: str | None = None
    publications: Mapping[int, Publication] = field(default_factory=dict)
    sequences: Mapping[int, SequenceFacts] = field(default_factory=dict)

    def without(self, names: frozenset[str]) -> "State":
        """The same without the tables and sequences of these names; publications send no such table."""
        tables = {oid: table for oid, table in self.tables.items() if table.name not in names}
        return replace(
            self,
            tables=tables,
            publications={
                oid: replace(each, tables={table: sent for table, sent in each.tables.items() if table in tables})
                for oid, each in self.publications.items()
            },
            sequences={oid: each for oid, each in self.sequences.items() if each.name not in names},
        )


@dataclass(frozen=True, slots=True)
class Facts:
    """The catalog before a migration and after it, and the server's version, as libpq gives it."""

    before: State = State()
    after: State = State()
    version: int = 180000

    def relation(self, oid: int) -> Relation | None:
        """The table of an OID as a sheet names it: by the name it had before, if it existed."""
        table = self.before.tables.get(oid) or self.after.tables.get(oid)
        return Relation(table.name, table.kind, oid in self.before.tables) if table else None

    @property
    def tables(self) -> list[Table]:
        """The tables before and after; those that stay are there twice."""
        return [*self.before.tables.values(), *self.after.tables.values()]

    @property
    def kept(self) -> Iterator[tuple[Table, Table]]:
        """The tables that are there before and after, as they were and as they are."""
        return ((was, self.after.tables[oid]) for oid, was in self.before.tables.items() if oid in self.after.tables)

    def existing(self, node: Node) -> Table | None:
        """The table that a RangeVar of the parse tree names, as it was before; None for one that the migration makes."""
        table = self.named(node.relname, node.schemaname)
        return self.before.tables.get(table.oid) if table else None

    def named(self, name: str, schema: str = "") -> Table | None:
        """The table of that bare name before the migration, else after it; with a schema the one there."""
        for state in (self.before, self.after):
            for table in state.tables.values():
                if parts(table.name)[-1] == name and (not schema or parts(table.name)[0] == schema):
                    return table
        return None


def read(conn: Connection) -> State:
    """The catalog now, in a transaction of its own; read-only."""
    with conn.transaction():
        conn.execute("SET LOCAL search_path = pg_catalog, pg_temp")
        row = conn.execute(named(_QUERIES)["facts"].encode()).fetchone()
    assert row
    facts: dict[str, Any] = row[0]
    functions: dict[int, tuple[str, tuple[str, ...], str]] = {}
    for oid, name, by, digest in facts["functions"] or ():
        functions[oid] = (name, (*functions.get(oid, ("", (), ""))[1], by), digest)
    return State(
        tables={each["oid"]: _table(each) for each in facts["tables"] or ()},
        indexes={each["oid"]: Index(**{**each, "keys": tuple(each["keys"] or ())}) for each in facts["indexes"] or ()},
        foreign_keys={
            each["oid"]: ForeignKey(**{**each, "columns": tuple(each["columns"]), "targets": tuple(each["targets"])})
            for each in facts["foreign_keys"] or ()
        },
        disabled=frozenset((oid, name) for oid, name in facts["disabled"] or ()),
        functions=functions,
        bodies=dict(facts["bodies"] or ()),
        timezone=facts["timezone"],
        publications={each.pop("oid"): _publication(each) for each in facts["publications"] or ()},
        sequences={
            each.pop("oid"): SequenceFacts(**{**each, "feeds": frozenset(map(tuple, each["feeds"] or ()))})
            for each in facts["sequences"] or ()
        },
    )


def _publication(each: dict[str, Any]) -> Publication:
    tables = {
        int(oid): (frozenset(columns) if columns is not None else None, rows)
        for oid, (columns, rows) in (each["tables"] or {}).items()
    }
    return Publication(**{**each, "events": tuple(each["events"]), "tables": tables})


def _table(each: dict[str, Any]) -> Table:
    columns = {int(number): Column(*column) for number, column in (each["columns"] or {}).items()}
    policies = tuple(Policy(**{**policy, "roles": frozenset(policy["roles"])}) for policy in each["policies"] or ())
    return Table(**{
        **each, "kind": KINDS[each["kind"]], "key": tuple(each["key"] or ()), "columns": columns, "policies": policies,
    })  # fmt: skip
