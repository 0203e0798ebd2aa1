"""How long statements will take on tables of a known size, what they write, and for how long others wait. Pure.

Estimates are ranges: from a third of the time that this machine takes, with all in memory, to twice that with a disk that
reads and writes 100 MB/s. They are about the order of magnitude, for which the size of the table is what matters.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from pgyoyo.review.sheet import RAN, LiveTable, Lock, ObservedStatement, Relation, Rows, Sheet
from pgyoyo.review.spans import Estimate, Span, Wait, total

DISK = 100 * 1024 * 1024  # bytes a second
FASTER, SLOWER = 0.3, 2.0  # than the rates that were measured
_TID = 6  # bytes of an entry of an index whose key is that of others
ENTRY = Span(16, 40)  # bytes of a row in an index whose like is not there
_ROW = 28  # bytes of a row's header and its pointer
NOTHING = Span(0, 0)


@dataclass(frozen=True, slots=True)
class Rates:
    """Seconds that one unit of work takes on a machine, from the fastest to the slowest of several sizes.

    `scan` and `rewrite` are for a byte of the table, `build` for a row of one index, `change` for an updated row of a table
    with one index.
    """

    scan: Span
    rewrite: Span
    build: Span
    change: Span


def estimated(sheet: Sheet, rates: Rates) -> Sheet:
    """The sheet with estimates of its statements, and how long they keep others waiting, by the sizes it has."""
    statements = tuple(
        replace(statement, estimate=estimate(statement, sheet.live, rates)) for statement in sheet.statements
    )
    waits = () if sheet.batched else tuple(_waits(sheet.locks, statements))
    worked = {table for statement in statements for table in _worked(statement)}
    unknown = {table.table or table.name for table in worked if _size(table, sheet.live) is None}
    names = ", ".join(name.removeprefix("public.") for name in sorted(unknown))
    notes = (*sheet.notes, f"not estimated: the size of {names} is not known") if names else sheet.notes
    return replace(sheet, statements=statements, waits=waits, notes=notes)


def needs_rates(sheet: Sheet) -> bool:
    """Whether a statement of the sheet works on a table of a known size."""
    return any(_size(table, sheet.live) for statement in sheet.statements for table in _worked(statement))


def estimate(statement: ObservedStatement, live: Mapping[str, LiveTable], rates: Rates) -> Estimate | None:
    """How long a statement will take, and what it writes; None where it does not work on tables of a known size."""
    parts = list(_parts(statement, live, rates))
    if statement.state != RAN or not parts:
        return None
    seconds, written = total(part.seconds for part in parts), total(part.written for part in parts)
    disk = (sum(part.read for part in parts) + written.high) / DISK
    room = round(sum(part.room for part in parts))
    rows = max(known.rows or 0 for table in _worked(statement) if (known := _size(table, live)))
    return Estimate(Span(seconds.low * FASTER, seconds.high * SLOWER + disk), written, room, rows)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the work: seconds, bytes read, bytes written, and the bytes of new files."""

    seconds: Span
    read: float
    written: Span = NOTHING
    room: float = 0


def _parts(statement: ObservedStatement, live: Mapping[str, LiveTable], rates: Rates) -> Iterator[_Part]:
    work = statement.work
    for table in work.rewritten:
        if known := _size(table, live):
            whole = (known.size or 0) + (known.index_size or 0)
            seconds = rates.rewrite * (known.size or 0) + rates.build * ((known.rows or 0) * known.indexes)
            # The new files, less the room of dead rows, and at worst the same again as WAL.
            yield _Part(seconds, known.size or 0, Span(FASTER * whole, 2 * whole), whole)
    for index in work.built:
        if known := _size(index, live):
            entries = _index_bytes(known)
            seconds = rates.scan * (known.size or 0) + rates.build * (known.rows or 0)
            yield _Part(
                seconds,
                known.size or 0,
                Span(min(entries.low, _TID * (known.rows or 0)), 2 * entries.high),
                entries.high,
            )
    read = {table.name for table in work.rewritten} | {index.table for index in work.built}
    for table in work.scanned:
        if table.name not in read and (known := _size(table, live)):
            yield _Part(rates.scan * (known.size or 0), known.size or 0)
    for rows in work.growing:
        if (known := _size(rows.relation, live)) and known.rows:
            yield _change(rows, known, rates, _tried(statement))


def _change(rows: Rows, known: LiveTable, rates: Rates, tried: float) -> _Part:
    """The part of an UPDATE or DELETE of all rows, of which a trial took so many seconds for each."""
    count, size = known.rows or 0, known.size or 0
    seconds = Span(rates.change.low, max(rates.change.high * max(known.indexes, 1), tried)) * count
    if not rows.updated:  # a deleted row is only marked
        return _Part(Span(seconds.low / 10, seconds.high), size, Span(count * _ROW / 2, count * _ROW + size))
    # A new version of each row; at worst a new entry in each index, and all pages once in the WAL.
    versions = size + count * _ROW
    grown = versions + (known.index_size or 0)
    return _Part(seconds, size, Span(versions, 3 * grown + size), grown)


def _tried(statement: ObservedStatement) -> float:
    """Seconds for a row, by the scale trial: what triggers and functions add is in it."""
    points = statement.trial.points if statement.trial else ()
    if len(points) < 2 or points[-1].rows <= points[0].rows:
        return 0.0
    return max(0.0, (points[-1].duration - points[0].duration) / 1000 / (points[-1].rows - points[0].rows))


def _index_bytes(table: LiveTable) -> Span:
    """The size of one more index: like those that are there, or of entries of the usual size."""
    usual = ENTRY * (table.rows or 0)
    average = (table.index_size or 0) / table.indexes if table.indexes else usual.low
    return Span(min(usual.low, average or usual.low), max(usual.high, average))


def _worked(statement: ObservedStatement) -> Iterator[Relation]:
    """The tables of before the migration whose size decides how long a statement takes, or their indexes."""
    work = statement.work
    relations = (*work.rewritten, *work.built, *work.scanned, *(rows.relation for rows in work.growing))
    return (relation for relation in relations if relation.existed or relation.kind == "index")


def _size(relation: Relation, live: Mapping[str, LiveTable]) -> LiveTable | None:
    """The facts of a table, of an index's table, or of the parent of a partition that is not there."""
    known = live.get(relation.name) if relation.kind != "index" else None
    known = known or live.get(relation.table or "")
    return known if known and known.size is not None else None


def _waits(locks: Sequence[Lock], statements: Sequence[ObservedStatement]) -> Iterator[Wait]:
    """How long reads and writes of each table wait, from the statement that takes the lock to the one that it ends with."""
    strong = [lock for lock in locks if lock.strong and lock.relation.kind != "index"]
    names = {lock.relation.name for lock in strong}
    for table in dict.fromkeys(lock.relation for lock in strong):
        if table.table in names:
            continue  # a partition, or a child, waits with its parent
        of_table = [lock for lock in strong if lock.relation == table]
        exclusive = [lock for lock in of_table if lock.mode == "ACCESS EXCLUSIVE"]
        both, writes = _held(exclusive, statements), _held(of_table, statements)
        if both.high:
            yield Wait(table.name, "reads and writes", both)
        if writes.high > both.high:
            yield Wait(table.name, "writes", writes)


def _held(locks: Sequence[Lock], statements: Sequence[ObservedStatement]) -> Span:
    numbers = {number for lock in locks for number in range(lock.taken, lock.until + 1)}
    return total(each.estimate.seconds for each in statements if each.number in numbers and each.estimate)
