"""What the server shows of a session between two statements: its locks, what it scanned, wrote and rewrote."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from psycopg import Connection

from pgyoyo.queries import named
from pgyoyo.review.sheet import MODES, Lock, Relation, Rows, Work

REHEARSAL = Path(__file__).with_name("rehearsal.sql")
KINDS = {
    "r": "table", "p": "partitioned table", "i": "index", "I": "partitioned index", "m": "materialized view", "v": "view",
    "f": "foreign table", "S": "sequence",
}  # fmt: skip
_MODES = {mode.title().replace(" ", "") + "Lock": mode for mode in MODES}


@dataclass(frozen=True, slots=True)
class Entry:
    """A relation of the catalog; `file` is its relfilenode, `table` the OID of what it belongs to (see Relation)."""

    name: str
    kind: str
    file: int
    table: int | None
    valid: bool


@dataclass(frozen=True, slots=True)
class State:
    """What a session shows at one moment of its transaction; the counts mean something as differences only."""

    locks: frozenset[tuple[int, str]]
    counts: Mapping[str, tuple[int, int, int, int]]
    catalog: int
    wal: int
    lock_timeout: int


class Names:
    """Relations of one database by their OIDs; those that were there before keep the names that others know them by."""

    def __init__(self, conn: Connection) -> None:
        self.now = relations(conn)
        self._first = self.now
        self._seen = dict(self.now)

    def look(self, conn: Connection) -> None:
        """Read them again."""
        self.now = relations(conn)
        self._seen = self._seen | self.now | self._first

    def relation(self, oid: int) -> Relation | None:
        """The relation of an OID; None for one that is nobody's business, such as the ledger."""
        entry = self._seen.get(oid)
        if entry is None:
            return None
        table = self._seen.get(entry.table) if entry.table else None
        return Relation(entry.name, entry.kind, oid in self._first, table.name if table else None)

    def locks(self, found: Iterable[tuple[int, str]], taken: int, until: int) -> tuple[Lock, ...]:
        """The locks that a person would call by name, in a fixed order."""
        named = ((self.relation(oid), mode) for oid, mode in found)
        # An index that REINDEX CONCURRENTLY swaps is two of one name.
        locks = {Lock(relation, mode, taken, until) for relation, mode in named if relation}
        return tuple(sorted(locks, key=lambda lock: (lock.relation.name, lock.strength, lock.relation.existed)))

    def invalid(self) -> tuple[Relation, ...]:
        """The new indexes that no query may use. One on a partitioned table is valid when those of all partitions are."""
        fresh = (oid for oid, entry in self.now.items() if not entry.valid and entry.kind == "index")
        return tuple(sorted(one for oid in fresh if oid not in self._first and (one := self.relation(oid))))


def state(conn: Connection) -> State:
    """The state of the session's own transaction; takes no lock that a state would show."""
    row = conn.execute(named(REHEARSAL)["state"].encode()).fetchone()
    assert row
    locks = frozenset((oid, _MODES[mode]) for oid, mode in row[0] or () if mode in _MODES)
    return State(locks, row[1] or {}, row[2] or 0, row[3], row[4])


def between(conn: Connection) -> State:
    """The state where no transaction is open, with the counts of all that ended.

    Their unflushed counts, which `state` sees, go to the totals when a second has gone by: too early for some statement.
    PostgreSQL 14 can't be told to flush them now; there `state` has to do.
    """
    found = state(conn)
    if conn.info.server_version < 150000:
        return found
    conn.execute("SELECT pg_catalog.pg_stat_force_next_flush()")
    row = conn.execute(named(REHEARSAL)["totals"].encode()).fetchone()
    return replace(found, counts=(row and row[0]) or {})


def relations(conn: Connection) -> dict[int, Entry]:
    """Every user's relation by its OID."""
    rows = conn.execute(named(REHEARSAL)["relations"].encode()).fetchall()
    return {oid: Entry(name, KINDS[kind], file, table, valid) for oid, name, kind, file, table, valid in rows}


def locks(watcher: Connection, pid: int) -> frozenset[tuple[int, str]]:
    """The locks of another session on relations, the one that it waits for too."""
    rows = watcher.execute(named(REHEARSAL)["watch"], {"pid": pid}).fetchall()
    return frozenset((oid, _MODES[mode]) for oid, mode in rows if mode in _MODES)


def work(before: State, after: State, was: Mapping[int, Entry], names: Names, *, truncates: bool) -> Work:
    """What happened between two states of a transaction, `was` being the relations at the first of them.

    `truncates` says that a table's new file is an empty one and no copy.
    """
    scanned, rows = [], []
    for oid, counts in after.counts.items():
        earlier = before.counts.get(oid, (0, 0, 0, 0))
        scans, *changed = (max(n - m, 0) for n, m in zip(counts, earlier, strict=True))
        relation = names.relation(int(oid))
        if relation and scans and relation.existed:
            scanned.append(relation)
        if relation and any(changed):
            rows.append(Rows(relation, *changed))
    files = {entry.file for entry in was.values()} if was is not names.now else set()
    fresh = [oid for oid, entry in names.now.items() if files and entry.file and entry.file not in files]
    # An ALTER may give an index another OID but keep its file: that is no new one, and files are what is compared.
    found = [(names.now[oid], one) for oid in fresh if (one := names.relation(oid))]
    tables = [one for entry, one in found if one.existed and entry.kind not in ("index", "sequence")]
    copied = {one.name for one in tables}
    built = [
        one for entry, one in found
        if entry.kind == "index" and one.table not in copied and (table := names.relation(entry.table or 0)) and table.existed
    ]  # fmt: skip
    return Work(
        rewritten=() if truncates else tuple(sorted(tables)),
        built=tuple(sorted(built)),
        emptied=tuple(sorted(tables)) if truncates else (),
        scanned=tuple(sorted(scanned)),
        rows=tuple(sorted(rows, key=lambda one: one.relation)),
        wal=after.wal - before.wal,
    )
