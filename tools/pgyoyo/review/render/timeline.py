"""How long each lock is held over the statements of a migration, as shapes; left and width are percents of the drawing."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from pgyoyo.review.render.folding import Run, runs
from pgyoyo.review.render.tables import short
from pgyoyo.review.sheet import FAILED, RAN, Lock, Relation, Sheet
from pgyoyo.units import number

# What each kind of lock blocks, as the legend names it.
READERS, WRITERS, CHANGES = "readers", "writers", "changes"
COMMIT = 0.8  # the width of the last column, the COMMIT of a transaction, in columns
MOST_ROWS = 24  # a partitioned table may have a thousand


@dataclass(frozen=True, slots=True)
class Column:
    """A statement, or a run; `work`: what it does to tables; `mark`: the severity of its worst finding."""

    run: Run
    left: float
    width: float
    work: tuple[str, ...]
    mark: str | None


@dataclass(frozen=True, slots=True)
class Bar:
    """A period during which a lock is held; `busy`: the parts of it in which a statement works under the lock."""

    lock: Lock
    words: str
    left: float
    width: float
    busy: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class Row:
    """All periods of one lock mode on one relation."""

    relation: Relation
    mode: str
    blocked: str
    bars: tuple[Bar, ...]

    def __str__(self) -> str:
        spans = ", ".join(bar.words for bar in self.bars)
        return f"{self.mode} on {short(self.relation.name)}, {self.bars[0].lock.blocks}: {spans}"


@dataclass(frozen=True, slots=True)
class Timeline:
    """Statements from left to right, and a row for each lock on a relation that existed before, in the order of taking.

    `commit` is where the column of the COMMIT begins; None without a single transaction, or if an error ends it. `left_out`
    is the number of rows above the limit, which are not drawn.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    commit: float | None
    left_out: int


def timeline(sheet: Sheet, marks: Mapping[int, str]) -> Timeline:
    """The timeline of a sheet; `marks`: the worst severity of a statement, by its number."""
    shown = runs(sheet)
    commit = sheet.transactional and not sheet.batched and all(statement.state == RAN for statement in sheet.statements)
    share = 100 / max(len(shown) + COMMIT * commit, 1)
    columns = tuple(
        Column(run, i * share, share, tuple(_work(run)), marks.get(run.first.number)) for i, run in enumerate(shown)
    )
    place = {statement.number: i for i, run in enumerate(shown) for statement in run.statements}
    # An error ends the transaction, and with it every lock.
    failed = (place[statement.number] for statement in sheet.statements if statement.state == FAILED)
    stop = next(failed, len(shown) - 1)

    def bar(lock: Lock) -> Bar:
        first, last = place[lock.taken], min(place.get(lock.until, stop), stop)
        end = 100.0 if commit and last == stop else (last + 1) * share
        busy = tuple((each.left, each.width) for each in columns[first : last + 1] if each.work and lock.strong)
        until = replace(lock, until=shown[last].statements[-1].number)
        return Bar(
            lock, _span(until, len(sheet.statements) if commit else None), first * share, end - first * share, busy
        )

    rows: dict[tuple[Relation, str], list[Bar]] = {}
    for lock in _uncovered(lock for lock in sheet.timeline_locks if lock.taken in place):
        rows.setdefault((lock.relation, lock.mode), []).append(bar(lock))
    drawn = [Row(*key, _blocked(bars[0].lock), tuple(bars)) for key, bars in rows.items()]
    if len(drawn) > MOST_ROWS:
        strongest = sorted(drawn, key=lambda row: -row.bars[0].lock.strength)[:MOST_ROWS]
        drawn = [row for row in drawn if row in strongest]
    return Timeline(columns, tuple(drawn), len(shown) * share if commit else None, len(rows) - len(drawn))


def _uncovered(locks: Iterable[Lock]) -> Iterator[Lock]:
    """The locks, in the order of taking, without those during which a stronger lock on the same relation is held."""
    by_relation: dict[Relation, list[Lock]] = {}
    for lock in locks:
        by_relation.setdefault(lock.relation, []).append(lock)
    kept = [lock for same in by_relation.values() for lock in same if not any(_covers(each, lock) for each in same)]
    return iter(sorted(kept, key=lambda lock: lock.taken))


def _covers(stronger: Lock, lock: Lock) -> bool:
    return stronger.strength > lock.strength and stronger.taken <= lock.taken and lock.until <= stronger.until


def _work(run: Run) -> Iterator[str]:
    """The work that takes time under a lock, in a word or two each."""
    work = run.first.work
    kinds = (("rewrite", work.rewritten), ("index", work.built), ("scan", work.scanned))
    yield from (word for word, relations in kinds if relations)
    if count := sum(rows.count for statement in run.statements for rows in statement.work.rows):
        yield number(count, "row")


def _blocked(lock: Lock) -> str:
    if lock.mode == "ACCESS EXCLUSIVE":
        return READERS
    return WRITERS if lock.blocks.startswith("blocks writes") else CHANGES


def _span(lock: Lock, last: int | None) -> str:
    """From statement 1 to the COMMIT; `last`: the number of the last statement before it."""
    if last is not None and lock.until >= last:
        return f"from statement {lock.taken} to the COMMIT"
    if lock.until == lock.taken:
        return f"during statement {lock.taken}"
    return f"from statement {lock.taken} to {lock.until}"
