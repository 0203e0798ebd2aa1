"""The statements of a sheet, runs of similar statements folded into rows."""

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import groupby

from pgyoyo.catalog.snapshot import Change
from pgyoyo.review.sheet import FAILED, NOT_REACHED, RAN, ObservedStatement, Sheet

FEWEST_FOLDED = 3  # two rows are as short, and clearer
SCREEN = 12  # rows that fit on a screen beside the findings

_KEYWORDS = re.compile(r"[A-Z]+(?: [A-Z]+)*\b")


@dataclass(frozen=True, slots=True)
class Run:
    """One statement, or several consecutive ones of which a sheet would show the same."""

    statements: tuple[ObservedStatement, ...]

    @property
    def first(self) -> ObservedStatement:
        """The statement shown for all of them."""
        return self.statements[0]

    @property
    def folded(self) -> bool:
        """Whether there is more than one statement."""
        return len(self.statements) > 1

    @property
    def numbers(self) -> str:
        """The number of the statement, or the first and the last."""
        return span(self.first.number, self.statements[-1].number)

    @property
    def lines(self) -> str:
        """The line on which the statement begins, or the first and the last."""
        return span(self.first.line, self.statements[-1].line)

    @property
    def name(self) -> str:
        """CREATE INDEX a; INSERT INTO t (12 statements); CREATE TABLE, CREATE INDEX … (30 statements)."""
        if not self.folded:
            return self.first.name
        kinds = list(dict.fromkeys(_keywords(statement.name) for statement in self.statements))
        same = len({statement.name for statement in self.statements}) == 1
        name = self.first.name if same else f"{', '.join(kinds[:3])} …"
        return f"{name} ({len(self.statements):,} statements)"

    @property
    def state(self) -> str:
        """Ran, failed or not reached."""
        return self.first.state


def runs(sheet: Sheet, most: int | None = None) -> list[Run]:
    """The statements of a sheet, folded where all that a sheet shows of them is the same; never one with a finding.

    With `most`, for a screen: statements that were not reached are one row, and if there are still more rows than that,
    statements that touch nothing that existed before are one row for each kind, at last one row in all.
    """
    marked = {finding.statement for finding in sheet.findings}

    def likeness(statement: ObservedStatement) -> Hashable:
        if statement.number in marked or statement.state == FAILED:
            return statement.number
        if statement.state == NOT_REACHED:
            # The SQL of a run is that of its first statement.
            return NOT_REACHED, statement.name if most is None else ""
        work = statement.work
        locks = tuple((lock.mode, lock.relation) for lock in statement.takes if lock.shown)
        held = frozenset((lock.mode, lock.relation) for lock in statement.held)
        relations = (work.rewritten, work.built, work.emptied, work.scanned)
        return statement.name, locks, held, relations, counts_words(statement.changes), bool(work.rows)

    def harmless(kind: Callable[[ObservedStatement], str]) -> Callable[[ObservedStatement], Hashable]:
        def key(statement: ObservedStatement) -> Hashable:
            fine = statement.number not in marked and _touches_nothing(statement)
            return (kind(statement), frozenset(statement.held)) if fine else likeness(statement)

        return key

    rows = _folded(sheet, likeness)
    for kind in (lambda statement: _keywords(statement.name), lambda _: ""):
        if most is not None and len(rows) > most:
            rows = _folded(sheet, harmless(kind))
    return rows


def _folded(sheet: Sheet, likeness: Callable[[ObservedStatement], Hashable]) -> list[Run]:
    rows = []
    for _, group in groupby(sheet.statements, key=likeness):
        alike = tuple(group)
        rows += [Run(alike)] if len(alike) >= FEWEST_FOLDED else [Run((statement,)) for statement in alike]
    return rows


def _touches_nothing(statement: ObservedStatement) -> bool:
    """Whether it locks, and works on, nothing that existed before."""
    work = statement.work
    return (
        statement.state == RAN
        and not any(lock.shown and lock.relation.existed for lock in statement.takes)
        and not any((work.rewritten, work.built, work.emptied, work.scanned, work.rows))
    )


def _keywords(name: str) -> str:
    """The keywords that a statement's name begins with: CREATE INDEX."""
    match = _KEYWORDS.match(name)
    return match[0] if match else name


def counts_words(changes: Sequence[Change]) -> str:
    """The number of catalog objects added, changed and removed: +1 ~2 -1."""
    added = sum(change.before is None for change in changes)
    removed = sum(change.after is None for change in changes)
    parts = (("+", added), ("~", len(changes) - added - removed), ("-", removed))
    return " ".join(f"{sign}{count}" for sign, count in parts if count)


def span(first: int, last: int) -> str:
    """A number, or two with a dash."""
    return str(first) if first == last else f"{first}–{last}"  # noqa: RUF001 - an en dash, as between any two numbers
