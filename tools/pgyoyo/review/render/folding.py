"""The statements of a sheet, with runs of like ones as one row."""

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby

from pgyoyo.catalog.snapshot import Change
from pgyoyo.review.sheet import FAILED, NOT_REACHED, RAN, Seen, Sheet

FEWEST_FOLDED = 3  # two rows tell as much as one, and more plainly
SCREEN = 12  # rows of a table that can be taken in at a glance

_KEYWORDS = re.compile(r"[A-Z]+(?: [A-Z]+)*\b")


@dataclass(frozen=True, slots=True)
class Run:
    """One statement, or several in a row that are alike in all that a sheet shows of them."""

    statements: tuple[Seen, ...]

    @property
    def first(self) -> Seen:
        """The one that speaks for all."""
        return self.statements[0]

    @property
    def folded(self) -> bool:
        """Whether it is more than one."""
        return len(self.statements) > 1

    @property
    def numbers(self) -> str:
        """7, or the first and the last of several."""
        return span(self.first.number, self.statements[-1].number)

    @property
    def lines(self) -> str:
        """The lines on which they begin."""
        return span(self.first.line, self.statements[-1].line)

    @property
    def name(self) -> str:
        """What they do, in a few words, and how many there are of them."""
        if not self.folded:
            return self.first.name
        kinds = list(dict.fromkeys(_keywords(one.name) for one in self.statements))
        alike = len({one.name for one in self.statements}) == 1
        name = self.first.name if alike else f"{', '.join(kinds[:3])} …"
        return f"{name} ({len(self.statements):,} statements)"

    @property
    def state(self) -> str:
        """Ran, failed or not reached."""
        return self.first.state


def runs(sheet: Sheet) -> list[Run]:
    """The statements of a sheet, long runs of like ones as one; what has a finding always stands alone."""
    marked = {finding.statement for finding in sheet.findings}
    return _folded(sheet, lambda one: _likeness(one, marked))


def fewest_runs(sheet: Sheet) -> list[Run]:
    """The same for a screen, where that is too small with less: what touches nothing from before is one row for each kind of
    statement, or one for all; so is what was not reached.
    """
    marked = {finding.statement for finding in sheet.findings}

    def kind(one: Seen, name: str) -> Hashable:
        return (name, frozenset(one.held)) if _harmless(one, marked) else likeness(one)

    def likeness(one: Seen) -> Hashable:
        unseen = one.state == NOT_REACHED and one.number not in marked
        return NOT_REACHED if unseen else _likeness(one, marked)

    rows = _folded(sheet, likeness)
    if len(rows) > SCREEN:
        rows = _folded(sheet, lambda one: kind(one, _keywords(one.name)))
    return rows if len(rows) <= SCREEN else _folded(sheet, lambda one: kind(one, ""))


def _folded(sheet: Sheet, likeness: Callable[[Seen], Hashable]) -> list[Run]:
    rows = []
    for _, group in groupby(sheet.statements, key=likeness):
        alike = tuple(group)
        rows += [Run(alike)] if len(alike) >= FEWEST_FOLDED else [Run((one,)) for one in alike]
    return rows


def _harmless(one: Seen, marked: set[int | None]) -> bool:
    """Whether nobody needs to look at it: it works on nothing that was there before."""
    work = one.work
    return (
        one.state == RAN
        and one.number not in marked
        and not any(lock.shown and lock.relation.existed for lock in one.takes)
        and not any((work.rewritten, work.built, work.emptied, work.scanned, work.rows))
    )


def _keywords(name: str) -> str:
    """CREATE INDEX, of the name of a statement."""
    match = _KEYWORDS.match(name)
    return match[0] if match else name


def _likeness(one: Seen, marked: set[int | None]) -> tuple[object, ...]:
    if one.number in marked or one.state == FAILED:
        return (one.number,)
    if one.state == NOT_REACHED:
        # A layout shows the SQL of the first of a run.
        return (NOT_REACHED, one.name)
    locks = tuple((lock.mode, lock.relation) for lock in one.takes if lock.shown)
    held = frozenset((lock.mode, lock.relation) for lock in one.held)
    work = (one.work.rewritten, one.work.built, one.work.emptied, one.work.scanned)
    return (RAN, one.name, locks, held, work, counts_words(one.changes), bool(one.work.rows))


def counts_words(changes: Sequence[Change]) -> str:
    """How many things of the catalog are added, changed, removed: +1 ~2 -1."""
    added = sum(change.before is None for change in changes)
    removed = sum(change.after is None for change in changes)
    parts = (("+", added), ("~", len(changes) - added - removed), ("-", removed))
    return " ".join(f"{sign}{count}" for sign, count in parts if count)


def span(first: int, last: int) -> str:
    """7, or the first and the last."""
    return str(first) if first == last else f"{first}–{last}"  # noqa: RUF001 - an en dash, as between any two numbers
