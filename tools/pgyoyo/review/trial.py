"""The measures of a scale trial: a statement on tables of a few sample rows, and of four times as many."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TableWork:
    """What a statement did with one table, given by its OID: rows and blocks read by any path, rows changed."""

    oid: int
    read: int = 0
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    blocks: int = 0


@dataclass(frozen=True, slots=True)
class Point:
    """The statement on tables of that many rows each: milliseconds, bytes of WAL, and its work by table."""

    rows: int
    duration: float
    wal: int
    tables: tuple[TableWork, ...]

    @property
    def read(self) -> int:
        """Rows read in all tables."""
        return sum(table.read for table in self.tables)

    @property
    def changed(self) -> int:
        """Rows changed in all tables."""
        return sum(table.inserted + table.updated + table.deleted for table in self.tables)

    @property
    def blocks(self) -> int:
        """Blocks read in all tables and their indexes."""
        return sum(table.blocks for table in self.tables)


@dataclass(frozen=True, slots=True)
class ScaleTrial:
    """The points, the smallest table first; none where nothing could be measured, then `reason` says why.

    Tables are OIDs. `writes`: those that it may have written; `touches`: all that it read or wrote; `partitions`: those that
    count as their table.
    """

    points: tuple[Point, ...] = ()
    reason: str | None = None
    writes: frozenset[int] = frozenset()
    touches: frozenset[int] = frozenset()
    partitions: frozenset[int] = frozenset()

    @property
    def reading(self) -> tuple[int, ...]:
        """The tables of which it reads more the more rows there are."""
        return self._growing("read", 6)

    @property
    def changing(self) -> tuple[TableWork, ...]:
        """The work on the bigger tables, of those in which it updates or deletes more rows the more there are."""
        oids = {*self._growing("updated", 3), *self._growing("deleted", 3)}
        return tuple(table for table in self.points[-1].tables if table.oid in oids) if self.points else ()

    @property
    def unseen(self) -> tuple[int, ...]:
        """The tables that it may have written, of which it read and changed no row: nothing matched."""
        if not self.points:
            return tuple(sorted(self.writes))
        seen = {table.oid for table in self.points[-1].tables if table.read or table.inserted or table.deleted}
        return tuple(sorted(self.writes - seen - self.partitions))

    def _growing(self, what: str, least: int) -> tuple[int, ...]:
        if len(self.points) < 2:
            return ()
        few, many = ({table.oid: getattr(table, what) for table in point.tables} for point in self.points[-2:])
        return tuple(oid for oid, n in many.items() if n >= 2 * few.get(oid, 0) and n - few.get(oid, 0) >= least)
