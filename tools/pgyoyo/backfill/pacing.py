"""The pace of a backfill: which pages come next, and how many at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

PAGE = 8192  # bytes, unless PostgreSQL was built otherwise: then zones are of another size, and nothing else changes
ZONE = 64 * 1024 * 1024 // PAGE
PASSES = 16
_FIRST = 64
# What one row costs, in seconds, before anything was measured; then the most expensive of the last batches.
_ROW = 20e-6


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of what others notice of a backfill; seconds and bytes. The defaults are those of a careful DBA.

    `pause` is a share of each batch's time, `growth` the share by which the table may grow before it is vacuumed;
    `triggers` fire, skip, or, if empty, fire as long as they change nothing else; `functions`
    fire even if they read the table; `order` is newest or oldest, of partitions; `window` the hours of the day
    in which batches may run, 22:00-06:00, empty for all, by the clock of the session's time zone. Zero switches a limit off.
    """

    target: float = 0.05
    pause: float = 0.1
    lock_timeout: float = 0.1
    max_replica_lag: float = 2.0
    max_wal: int = 1 << 30
    growth: float = 0.1
    triggers: str = ""
    functions: str = ""
    order: str = ""
    window: str = ""


@dataclass(frozen=True, slots=True)
class Cursor:
    """The place in a table's pages: a zone of pages, in turn `turn` of several, at `page` of it.

    A turn does the rows whose place hashes to its number, so that the next one finds room in the same pages; the last
    turn does what is left, whatever its place.
    """

    start: int = 0
    end: int = 0
    turn: int = 0
    page: int = 0

    def condition(self, upto: int, passes: int) -> str:
        """The rows of this turn from the cursor's page up to another one, as a condition over {ctid}."""
        pages = f"{{ctid}} OPERATOR(pg_catalog.>=) '({self.page},0)' AND {{ctid}} OPERATOR(pg_catalog.<) '({upto},0)'"
        if self.turn >= passes - 1:
            return pages
        turn = f"pg_catalog.hashtid({{ctid}}) OPERATOR(pg_catalog.&) {passes - 1} OPERATOR(pg_catalog.=) {self.turn}"
        return f"{pages} AND {turn}"

    def after(self, upto: int, passes: int, *, few: bool) -> Cursor:
        """The cursor once the pages before `upto` are done; after a turn that found `few` rows the last one follows."""
        if upto < self.end:
            return replace(self, page=upto)
        if self.turn < passes - 1:
            return replace(self, page=self.start, turn=passes - 1 if few else self.turn + 1)
        return Cursor(self.end, self.end, 0, self.end)

    def done(self, high: int, passes: int) -> float:
        """The share of the table that is done."""
        within = (self.page - self.start + self.turn * (self.end - self.start)) / passes
        return min(1.0, (self.start + within) / high) if high else 1.0


@dataclass(slots=True)
class Pace:
    """How many pages a batch takes, so that it lasts about `target` seconds, and less where others wait for it for half as
    long; `density` is rows in a page. Batches take at most `most` of the target.

    First turns, whose rows move to other pages, are slower than those that find room: each kind has its own measure.
    """

    target: float
    density: float
    passes: int
    most: float = 1.0
    pages: dict[bool, float] = field(default_factory=lambda: {True: float(_FIRST), False: float(_FIRST)})
    row: float = _ROW
    _measured: bool = field(default=False, init=False)
    # The share of the target that a batch takes.
    _share: float = field(init=False)

    def __post_init__(self) -> None:
        self._share = self.most

    def zone(self) -> int:
        """How many pages a zone has: one batch a turn, so that what a turn freed is still at hand for the next."""
        return max(_FIRST, min(ZONE, int(self._most(first=self.passes == 1))))

    def upto(self, cursor: Cursor) -> int:
        """Where the next batch ends: the rest of its zone, cut into equal parts that fit."""
        rest = cursor.end - cursor.page
        parts = max(1, math.ceil(rest / self._most(first=cursor.turn == 0) - 0.2))
        return cursor.page + -(-rest // parts)

    def learn(self, cursor: Cursor, upto: int, rows: int, seconds: float, *, waited: float = 0.0) -> None:
        """Take a batch's measure: half as many pages at once if it took too long, more, by degrees, if not.

        `waited` is how long others waited for it; the batches get shorter at once, and longer slowly.
        """
        long = waited > self.target * self.most / 2
        self._share = max(0.25, self._share * 0.7) if long else min(self.most, self._share * 1.05)
        first, taken = cursor.turn == 0, upto - cursor.page
        factor = self.target * self._share / max(seconds, 1e-6)
        most = 4.0 if factor > 4 else 1.5
        wished = taken * min(most, max(0.5, factor))
        # A small rest of a zone that went fast says nothing about a whole one.
        if factor < 1 or taken >= 0.6 * self.pages[first]:
            self.pages[first] = max(1.0, min(float(ZONE), wished))
        if rows >= 100:
            self.row = max(seconds / rows, self.row * 0.9 if self._measured else 0.0)
            self._measured = True

    def halve(self, *, first: bool) -> None:
        """After a batch that hit statement_timeout."""
        self.pages[first] = max(1.0, self.pages[first] / 2)

    def _most(self, *, first: bool) -> float:
        # After empty pages may come full ones: even then a batch must not take twice as long.
        full = 2 * self.target * self._share * self.passes / (self.row * max(self.density, 1.0))
        return max(1.0, min(self.pages[first], full))


def passes_for(density: float) -> int:
    """In how many turns a zone is done, a power of two: the more, the fewer rows have to move to another page.

    Rows that move from a page are as many as the fullest turn has in it; with few rows in a page more turns gain nothing.
    """
    return PASSES if density >= 4 else 4 if density >= 2 else 1


def is_within(window: str, now: str) -> bool:
    """Whether a time of the day, as 05:59, lies within the window, whose end is outside."""
    start, _, end = window.partition("-")
    return start <= now < end if start < end else now >= start or now < end
