"""What the server shows of a session between two statements: its locks, scans, writes and rewrites."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from psycopg import Connection

from pgyoyo.queries import named
from pgyoyo.review.relation_names import bare_name
from pgyoyo.review.sheet import MODES, Lock, Relation, Rows, Work

REHEARSAL = Path(__file__).with_name("rehearsal.sql")
KINDS = {
    "r": "table", "p": "partitioned table", "i": "index", "I": "partitioned index", "m": "materialized view", "v": "view",
    "f": "foreign table", "S": "sequence",
}  # fmt: skip
_MODES = {mode.title().replace(" ", "") + "Lock": mode for mode in MODES}


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A relation in the catalog; `file` is its relfilenode, `table` the OID of its table or parent (see Relation)."""

    name: str
    kind: str
    file: int
    table: int | None
    valid: bool


@dataclass(frozen=True, slots=True)
class State:
    """A session at one moment of its transaction; only differences of the counts are meaningful."""

    locks: frozenset[tuple[int, str]]
    counts: Mapping[str, tuple[int, int, int, int, int]]
    catalog: int
    wal: int
    lock_timeout: int


class RelationNames:
    """The relations of one database by OID; those that existed before keep the names they had then.

    `known` are those of now, where they were read already: reading takes the longer the more there are. `made` are the names
    of those that earlier migrations of the same release made: nobody uses them yet, so they count as new.
    """

    def __init__(
        self, conn: Connection, known: Mapping[int, CatalogEntry] | None = None, made: frozenset[str] = frozenset()
    ) -> None:
        self.now = relations(conn) if known is None else known
        self._first = self.now
        self._made = made
        self._seen: Mapping[int, CatalogEntry] = dict(self.now)

    def look(self, conn: Connection) -> None:
        """Read the catalog again."""
        self.now = relations(conn)
        self._seen = {**self._seen, **self.now, **self._first}

    def relation(self, oid: int) -> Relation | None:
        """The relation of an OID; None for one that a sheet leaves out, such as a table of the ledger."""
        entry = self._seen.get(oid)
        if entry is None:
            return None
        # One that was attached since has a parent only now.
        now = self.now.get(oid, entry)
        parent = entry.table or now.table
        table = self._seen.get(parent) if parent else None
        existed = oid in self._first and entry.name not in self._made
        return Relation(entry.name, entry.kind, existed, table.name if table else None)

    def made(self) -> frozenset[str]:
        """The present names of the relations that this migration, or an earlier one of its release, made."""
        fresh = (oid for oid in self.now if oid not in self._first or self._first[oid].name in self._made)
        return frozenset(self.now[oid].name for oid in fresh)

    def oids(self, names: Iterable[str]) -> frozenset[int]:
        """The OIDs of relations by the names that a sheet gives them."""
        wanted = set(names)
        return frozenset(oid for oid in self._seen if (relation := self.relation(oid)) and relation.name in wanted)

    def now_called(self, oid: int) -> set[str]:
        """The present names, without schemas and unquoted, of a relation and of its parent."""
        entry = self.now.get(oid)
        parent = self.now.get(entry.table) if entry and entry.table else None
        return {bare_name(each.name) for each in (entry, parent) if each}

    def locks(self, held: Iterable[tuple[int, str]], taken: int, until: int) -> tuple[Lock, ...]:
        """Locks, given by OID and mode, on the relations of a sheet, in a fixed order."""
        named = ((self.relation(oid), mode) for oid, mode in held)
        # REINDEX CONCURRENTLY makes two indexes of one name.
        locks = {Lock(relation, mode, taken, until) for relation, mode in named if relation}
        return tuple(sorted(locks, key=lambda lock: (lock.relation.name, lock.strength, lock.relation.existed)))

    def invalid(self) -> tuple[Relation, ...]:
        """The new invalid indexes; not those on partitioned tables, which become valid with those of the partitions."""
        fresh = (oid for oid, entry in self.now.items() if not entry.valid and entry.kind == "index")
        return tuple(sorted(index for oid in fresh if oid not in self._first and (index := self.relation(oid))))


def state(conn: Connection) -> State:
    """The state of the session's own transaction; takes no lock that a state would show."""
    row = conn.execute(named(REHEARSAL)["state"].encode()).fetchone()
    assert row
    locks = frozenset((oid, _MODES[mode]) for oid, mode in row[0] or () if mode in _MODES)
    return State(locks, row[1] or {}, row[2] or 0, row[3], row[4])


def between(conn: Connection) -> State:
    """The state outside a transaction, with the counts of all transactions that have ended.

    Unflushed counts, which `state` reads, are flushed to the totals at most once a second, which may be in the middle of a
    statement. PostgreSQL 14 has no function that flushes them; there the counts of `state` have to do.
    """
    now = state(conn)
    if conn.info.server_version < 150000:
        return now
    conn.execute("SELECT pg_catalog.pg_stat_force_next_flush()")
    row = conn.execute(named(REHEARSAL)["totals"].encode()).fetchone()
    return replace(now, counts=(row and row[0]) or {})


def relations(conn: Connection) -> dict[int, CatalogEntry]:
    """Every user's relation by its OID."""
    rows = conn.execute(named(REHEARSAL)["relations"].encode()).fetchall()
    return {oid: CatalogEntry(name, KINDS[kind], file, table, valid) for oid, name, kind, file, table, valid in rows}


def locks(watcher: Connection, pid: int) -> frozenset[tuple[int, str]]:
    """The locks of another session on relations, including the one that it waits for."""
    rows = watcher.execute(named(REHEARSAL)["watch"], {"pid": pid}).fetchall()
    return frozenset((oid, _MODES[mode]) for oid, mode in rows if mode in _MODES)


def work(
    before: State,
    after: State,
    was: Mapping[int, CatalogEntry],
    names: RelationNames,
    *,
    truncates: bool,
    validates: str | None = None,
) -> Work:
    """The work between two states of a transaction; `was`: the relations at the first state.

    `truncates`: a new file of a table is an empty one, not a copy. `validates`: the table, without its schema, all of whose
    rows are checked, so that a scan through an index is one of the whole table.
    """
    scanned, rows = [], []
    for oid, counts in after.counts.items():
        earlier = before.counts.get(oid, (0, 0, 0, 0, 0))
        scans, by_index, *changed = (max(n - m, 0) for n, m in zip(counts, earlier, strict=True))
        relation = names.relation(int(oid))
        if by_index and validates in names.now_called(int(oid)):
            scans += by_index
        if relation and scans and relation.existed:
            scanned.append(relation)
        if relation and any(changed):
            rows.append(Rows(relation, *changed))
    files = {entry.file for entry in was.values()} if was is not names.now else set()
    fresh = [oid for oid, entry in names.now.items() if files and entry.file and entry.file not in files]
    # Files are compared, not OIDs: an ALTER may give an index another OID but keep its file.
    renewed = [(names.now[oid], relation) for oid in fresh if (relation := names.relation(oid))]
    tables = [relation for entry, relation in renewed if relation.existed and entry.kind not in ("index", "sequence")]
    copied = {table.name for table in tables}
    built = [
        index for entry, index in renewed if entry.kind == "index" and index.table not in copied
        and (table := names.relation(entry.table or 0)) and table.existed
    ]  # fmt: skip
    return Work(
        rewritten=() if truncates else tuple(sorted(tables)),
        built=tuple(sorted(built)),
        emptied=tuple(sorted(tables)) if truncates else (),
        scanned=tuple(sorted(table for table in scanned if not (truncates and table in tables))),
        rows=tuple(sorted(rows, key=lambda changed: changed.relation)),
        wal=after.wal - before.wal,
    )


def strong_locks(locks: Iterable[Lock]) -> tuple[Lock, ...]:
    """The strong ones, in the order of taking."""
    strong = (lock for lock in locks if lock.strong)
    return tuple(sorted(strong, key=lambda lock: (lock.taken, lock.relation, lock.strength)))
