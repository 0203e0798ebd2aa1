"""The life of each lock over the statements of a migration, as shapes: left and width are percents of the whole drawing."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from pgyoyo.review.render.folding import Run, runs
from pgyoyo.review.render.phrases import number, short
from pgyoyo.review.sheet import FAILED, RAN, Lock, Relation, Sheet

# What each kind of lock shuts out, as the key of a timeline names it.
READERS, WRITERS, CHANGES = "readers", "writers", "changes"
COMMIT = 0.8  # the width of the column behind the statements of a transaction, in columns
MOST_ROWS = 24  # a partitioned table may have a thousand


@dataclass(frozen=True, slots=True)
class Column:
    """A statement, or several alike; `work` is what it does to tables, and `mark` its worst finding."""

    run: Run
    left: float
    width: float
    work: tuple[str, ...]
    mark: str | None


@dataclass(frozen=True, slots=True)
class Bar:
    """One stretch during which a lock is held; `busy` are the parts in which a statement works under it."""

    lock: Lock
    words: str
    left: float
    width: float
    busy: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """All stretches of one lock mode on one relation."""

    relation: Relation
    mode: str
    shuts_out: str
    bars: tuple[Bar, ...]

    def __str__(self) -> str:
        spans = ", ".join(bar.words for bar in self.bars)
        return f"{self.mode} on {short(self.relation.name)}, {self.bars[0].lock.blocks}: {spans}"


@dataclass(frozen=True, slots=True)
class Timeline:
    """Statements from left to right and a row for each lock on what was there before, in the order of taking.

    `commit` is where the column of the COMMIT begins; None where there is no one transaction, or an error ends it. `left_out`
    counts the rows that are too many to draw.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    commit: float | None
    left_out: int


def timeline(sheet: Sheet, marks: Mapping[int, str]) -> Timeline:
    """The timeline of a sheet; `marks` has the worst severity of a statement, by its number."""
    found = runs(sheet)
    commit = sheet.transactional and not sheet.batched and all(one.state == RAN for one in sheet.statements)
    share = 100 / max(len(found) + COMMIT * commit, 1)
    columns = tuple(
        Column(run, i * share, share, tuple(_work(run)), marks.get(run.first.number)) for i, run in enumerate(found)
    )
    place = {one.number: i for i, run in enumerate(found) for one in run.statements}
    # An error ends a transaction, and every lock with it.
    stop = next((place[one.number] for one in sheet.statements if one.state == FAILED), len(found) - 1)

    def bar(lock: Lock) -> Bar:
        first, last = place[lock.taken], min(place.get(lock.until, stop), stop)
        end = 100.0 if commit and last == stop else (last + 1) * share
        busy = tuple((one.left, one.width) for one in columns[first : last + 1] if one.work and lock.strong)
        until = replace(lock, until=found[last].statements[-1].number)
        return Bar(
            lock, _span(until, len(sheet.statements) if commit else None), first * share, end - first * share, busy
        )

    rows: dict[tuple[Relation, str], list[Bar]] = {}
    for lock in _telling(lock for lock in sheet.lines_of_life if lock.taken in place):
        rows.setdefault((lock.relation, lock.mode), []).append(bar(lock))
    drawn = [Row(*key, _shuts_out(bars[0].lock), tuple(bars)) for key, bars in rows.items()]
    if len(drawn) > MOST_ROWS:
        strongest = sorted(drawn, key=lambda row: -row.bars[0].lock.strength)[:MOST_ROWS]
        drawn = [row for row in drawn if row in strongest]
    return Timeline(columns, tuple(drawn), len(found) * share if commit else None, len(rows) - len(drawn))


def _telling(locks: Iterable[Lock]) -> Iterator[Lock]:
    """The locks without those that block nothing more than another one on the same relation at the same time."""
    of: dict[Relation, list[Lock]] = {}
    for lock in locks:
        of.setdefault(lock.relation, []).append(lock)
    kept = [lock for same in of.values() for lock in same if not any(_covers(other, lock) for other in same)]
    return iter(sorted(kept, key=lambda lock: lock.taken))


def _covers(other: Lock, lock: Lock) -> bool:
    return other.strength > lock.strength and other.taken <= lock.taken and lock.until <= other.until


def _work(run: Run) -> Iterator[str]:
    """What takes time under a lock, in a word or two each."""
    work = run.first.work
    kinds = (("rewrite", work.rewritten), ("index", work.built), ("scan", work.scanned))
    yield from (word for word, relations in kinds if relations)
    if count := sum(rows.count for one in run.statements for rows in one.work.rows):
        yield number(count, "row")


def _shuts_out(lock: Lock) -> str:
    if lock.mode == "ACCESS EXCLUSIVE":
        return READERS
    return WRITERS if lock.blocks.startswith("blocks writes") else CHANGES


def _span(lock: Lock, last: int | None) -> str:
    """From statement 1 to the COMMIT; `last` is the number of the last statement before it."""
    if last is not None and lock.until >= last:
        return f"from statement {lock.taken} to the COMMIT"
    if lock.until == lock.taken:
        return f"during statement {lock.taken}"
    return f"from statement {lock.taken} to {lock.until}"
