"""The schema of one database, read again and again: after the first time only what was written since."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from psycopg import Connection, Cursor

from pgyoyo.catalog import snapshot
from pgyoyo.catalog.snapshot import Snapshot
from pgyoyo.queries import named

QUERIES = Path(__file__).with_name("changed.sql")
# As they are in every cluster: pg_authid and pg_tablespace, whose names stand in definitions, though nothing depends on them.
_SHARED = (1260, 1213)
_RELATION = 1259  # pg_class
# Whose objects are shown with a relation: pg_class, pg_constraint, pg_trigger, pg_rewrite, pg_policy, pg_statistic_ext.
_WITH_RELATIONS = {_RELATION, 2606, 2620, 2618, 3256, 3381}
_MEMBERS = (0, 1)  # what belongs to an extension
# A database of fewer relations is read the first time as later on: to plan two queries takes as long as to read them.
_FEW = 50
FIRST = 16384  # what a user made; FirstNormalObjectId, access/transam.h
_Key = tuple[int, int]


class SnapshotReader:
    """Reads the schema of a database as often as asked, each time on an idle connection to it or to a copy of it.

    A copy has its rows at the same places, written by the same transactions, and no transaction writes in two databases.

    Which relations to read follows from the rows of the catalogs that were written, and from what depends on these, and so
    does whether to read what belongs to no relation, such as types and functions. `relations`: how many were read last; None:
    all. `others`: whether the rest was read, too.
    `changed`: what the last reading gave otherwise than the one before it. `latest`: what it gave, with owners, in any order.
    `reading`: the number of the last reading, `moved`: of the last one that met anything written; `read_in`: the reading that
    read each relation last, by its OID, whatever kind it has.
    """

    def __init__(self) -> None:
        self.relations: int | None = None
        self.others = True
        self.changed: set[tuple[str, str]] = set()
        self._marks: dict[_Key, int] = {}
        self._parts: dict[int | None, list[tuple[str, str]]] = {}
        self.latest: Snapshot = {}
        self.reading = 0
        self.moved = 0
        self.read_in: dict[int, int] = {}
        self._is_in_order = True

    def read(self, conn: Connection[Any]) -> Snapshot:
        """What `snapshot` would give for it now, with owners."""
        self.update(conn)
        if not self._is_in_order:  # mostly it is already, which makes it quick
            self.latest = {key: self.latest[key] for key in sorted(self.latest)}
            self._is_in_order = True
        return self.latest.copy()

    def update(self, conn: Connection[Any]) -> None:
        """Read what changed into `latest`, which is quicker than to return all of it in order."""
        marks: dict[_Key, int] = {}
        part = snapshot.Part(None)

        def choose(cursor: Cursor[Any]) -> snapshot.Part:
            nonlocal marks, part
            read = _execute(conn, cursor, "marks", None).fetchall()
            marks = {(catalog, oid): mark for catalog, oid, mark in read}
            part = self._part(conn, cursor, marks)
            return part

        rows = snapshot.rows(conn, choose)
        gone = set(self._parts)
        if part.relations is not None:
            gone -= self._kept(marks, part.relations)
            gone -= set() if part.others else {None}
        before = {key: self.latest[key] for relation in list(gone) for key in self._parts.pop(relation, ())}
        after: Snapshot = {}
        for kind, identity, definition, relation in rows:
            self._parts.setdefault(relation, []).append((kind, identity))
            after[kind, identity] = definition
        self._put(before, after)
        self._number(marks, part.relations)
        self._marks = marks
        self.relations = None if part.relations is None else len({row[3] for row in rows} - {None})
        self.others = part.others

    def _number(self, marks: dict[_Key, int], chosen: Sequence[int] | None) -> None:
        self.reading += 1
        if self.changed or marks != self._marks:
            self.moved = self.reading
            every = [oid for catalog, oid in marks if catalog == _RELATION]
            again = set(every if chosen is None else chosen)
            self.read_in = {
                oid: self.reading if oid in again or oid not in self.read_in else self.read_in[oid] for oid in every
            }

    def _put(self, before: Snapshot, after: Snapshot) -> None:
        """Replace what was read before by what was read now."""
        self.changed = {key for key, _ in before.items() ^ after.items()}
        for key in before.keys() - after.keys():
            del self.latest[key]
        self._is_in_order = self._is_in_order and after.keys() <= self.latest.keys()
        self.latest.update(after)

    def _kept(self, marks: dict[_Key, int], chosen: Sequence[int]) -> set[int | None]:
        """The relations that are there and were not read again."""
        return {relation for relation in self._parts if (_RELATION, relation) in marks} - set(chosen)

    def _part(self, conn: Connection[Any], cursor: Cursor[Any], marks: dict[_Key, int]) -> snapshot.Part:
        """What to read, since these marks are not those of the last time."""
        if not self._marks:
            every = [oid for catalog, oid in marks if catalog == _RELATION and oid >= FIRST]
            return snapshot.Part(every if len(every) < _FEW else None)
        written = {key for key, _ in self._marks.items() ^ marks.items()}
        # One that came or went stands in no definition: only one with another name does.
        if any(key[0] in _SHARED and key in self._marks and key in marks for key in written) or _MEMBERS in written:
            return snapshot.Part(None)
        keys = [key for key in written if key[0] not in _SHARED]
        if not keys:
            return snapshot.Part([], others=False)
        catalogs, oids = zip(*keys, strict=True)
        values = {"catalogs": list(catalogs), "oids": list(oids)}
        [(reached, others, _)] = _execute(conn, cursor, "reached", values).fetchall()
        return snapshot.Part(reached or [], others=others or not _WITH_RELATIONS.issuperset(catalogs))


def _execute(conn: Connection[Any], cursor: Cursor[Any], name: str, values: dict[str, Any] | None) -> Cursor[Any]:
    # As in snapshot.py: prepared only in a session that prepares everything.
    return cursor.execute(named(QUERIES)[name].encode(), values, prepare=None if conn.prepare_threshold == 0 else False)
