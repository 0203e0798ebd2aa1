"""A review as one page of HTML that needs nothing else: no script, no file, no network."""

import re
from dataclasses import dataclass
from pathlib import Path

from pgyoyo import sheet_words as words
from pgyoyo.render_text import last_line
from pgyoyo.sheet import FAILED, NOT_REACHED, RAN, Finding, Lock, Review, Seen, Sheet, verdict
from pgyoyo.sheet_words import Run

# What each kind of lock shuts out, as the key of a timeline names it.
READERS, WRITERS, CHANGES = "readers", "writers", "changes"
LONG_SQL = 30  # lines of a statement that is shown at once; a longer one is folded
ROW, TOP = 40, 58  # pixels: of a lock's row, and of the axis above them


@dataclass(frozen=True, slots=True)
class Column:
    """A statement, or several alike, on the axis of a timeline; `mark` is its worst finding."""

    run: Run
    mark: str | None
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Bar:
    """The life of a lock; x and width are percents of the timeline, y pixels."""

    lock: Lock
    words: str
    shuts_out: str
    x: float
    width: float
    y: int

    @property
    def at_end(self) -> bool:
        """Whether its words end where it ends, since they would not fit behind its beginning."""
        return self.x > 55


@dataclass(frozen=True, slots=True)
class Timeline:
    """Statements from left to right, the COMMIT behind them, and a row for each lock."""

    columns: tuple[Column, ...]
    bars: tuple[Bar, ...]
    commit: float | None  # where its column begins, in percent
    least: int  # pixels; a narrower window scrolls
    height: int


def render(review: Review) -> str:
    """The page, with a newline at its end."""
    # Takes longer to import than all else here.
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415
    from markupsafe import Markup  # noqa: PLC0415

    def shown(value: object) -> object:
        return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    # Everything is escaped; the template writes into HTML only, never into a script or a style.
    environment = Environment(
        autoescape=True, finalize=shown, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(Path(__file__).with_name("review.html.jinja").read_text(encoding="utf-8"))
    page = template.render(
        review=review,
        sheets=words.ordered(review),
        verdict=verdict,
        last_line=last_line(review),
        words=words,
        page=Parts(),
    )
    return page.rstrip("\n") + "\n"


class Parts:
    """What the template asks for while it writes a sheet."""

    RAN, FAILED, NOT_REACHED, LONG_SQL = RAN, FAILED, NOT_REACHED, LONG_SQL

    @staticmethod
    def timeline(sheet: Sheet) -> Timeline:
        """The timeline of a sheet: each lock from the statement that takes it to the one, or the COMMIT, that ends it."""
        runs = words.runs(sheet)
        commit = sheet.transactional
        share = 100 / max(len(runs) + (0.6 if commit else 0), 1)
        place = {one.number: i for i, run in enumerate(runs) for one in run.statements}
        columns = tuple(Column(run, _mark(sheet, run), i * share, share) for i, run in enumerate(runs))
        last = len(sheet.statements)
        bars = []
        for row, lock in enumerate(sheet.lines_of_life):
            begin = place.get(lock.taken, 0)
            end = place.get(lock.until, len(runs) - 1) + 1
            to = 100.0 if commit and lock.until >= last else end * share
            what = f"{words.lock_words(lock, {})}, {words.until_words(lock, sheet)}"
            bars.append(Bar(lock, what, _shuts_out(lock), begin * share, to - begin * share, TOP + row * ROW))
        wide = 96 if len(runs) <= 12 else 60
        height = TOP + max(len(bars), 1) * ROW + 4
        return Timeline(columns, tuple(bars), len(runs) * share if commit else None, wide * len(runs), height)

    @staticmethod
    def findings(sheet: Sheet, run: Run | None = None) -> list[Finding]:
        """The findings of a statement, worst first; without one, those of the file and of its rollback."""
        numbers = {one.number for one in sheet.statements}
        if run is None:
            return words.worst_first(one for one in sheet.findings if one.statement not in numbers)
        return words.worst_first(one for one in sheet.findings if one.statement == run.first.number)

    @staticmethod
    def lines(one: Seen) -> list[tuple[int, str]]:
        """The lines of a statement with their numbers in the file."""
        return [(one.line + i, line.rstrip("\r")) for i, line in enumerate(one.sql.strip("\n").split("\n"))]

    @staticmethod
    def slug(sheet: Sheet) -> str:
        """The name of a sheet as the fragment of a link."""
        return "m-" + re.sub(r"[^\w-]", "-", sheet.id)


def _shuts_out(lock: Lock) -> str:
    if lock.mode == "ACCESS EXCLUSIVE":
        return READERS
    return WRITERS if lock.blocks.startswith("blocks writes") else CHANGES


def _mark(sheet: Sheet, run: Run) -> str | None:
    found = [one for one in Parts.findings(sheet, run) if not one.allowed]
    return found[0].severity if found else None


def visible(text: str) -> str:
    """The text, with characters that would be unseen, or turn the order of others, as escapes (CVE-2021-42574)."""
    return re.sub(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]",
        lambda sign: sign[0].encode("unicode_escape").decode(),
        text.replace("\r\n", "\n"),
    )
