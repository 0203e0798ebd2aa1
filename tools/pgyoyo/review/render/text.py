"""The sheets of a review as text for a terminal: one screen a migration, worst first, the verdict at the end."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from unicodedata import combining, east_asian_width

from pgyoyo.review.render import phrases as words
from pgyoyo.review.render.folding import Run, fewest_runs
from pgyoyo.review.sheet import ERROR, FAILED, NOTE, RAN, WARNING, Finding, Review, Seen, Sheet, verdict

SHOWN_FINDINGS = 10  # of one rule in one file, in full
SHOWN_SQL = 8  # lines of a statement; the file has the rest
NARROWEST = 60  # below it nothing would fit
HEADER = ("#", "line", "statement", "work", "catalog", "measured")
_WRAPPED = (2, 3, 4)  # columns of several words
_COLORS = {ERROR: "1;31", WARNING: "33", NOTE: "36", None: "32", "allowed": "2"}
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def render(review: Review, *, color: bool = False, width: int = 100) -> str:
    """The text, with a newline at its end; lines are at most `width` wide but for SQL and words that can't be parted.

    Control characters in what is shown, which a terminal would obey, are written as escapes.
    """
    page = _Page(color=color, width=max(width, NARROWEST))
    if not review.sheets:
        return "\n".join(line for text in words.made_on(review) for line in page.filled(text)) + "\n"
    lines: list[str] = []
    for sheet in words.ordered(review):
        lines += [*page.sheet(sheet), ""]
    # They hold paths, which nobody wants to put together again.
    lines += [printable(text) for text in words.made_on(review)]
    end = page.filled(last_line(review))
    return "\n".join([*lines, *(page.judged(line, review.worst) for line in end)]) + "\n"


def last_line(review: Review) -> str:
    """The verdict on all of them, or why there are none."""
    if not review.sheets:
        return printable(" ".join(words.made_on(review))).replace("\n", " ")
    found = words.counts(review.findings)
    return f"{verdict(review.worst)}: {found} in {words.number(len(review.sheets), 'migration')}."


class _Page:
    """Lays out sheets for one width, with colour or without."""

    def __init__(self, *, color: bool, width: int) -> None:
        self._color = color
        self._width = width

    def painted(self, text: str, severity: str | None) -> str:
        return f"\033[{_COLORS[severity]}m{text}\033[0m" if self._color else text

    def judged(self, text: str, worst: str | None) -> str:
        """The text in the colour of a verdict, for which notes don't count."""
        return self.painted(text, worst if worst in (ERROR, WARNING) else None)

    def bold(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self._color else text

    def filled(self, text: str, first: str = "", rest: str | None = None) -> list[str]:
        """The text in lines, the first of which begins with `first`, later ones with `rest`; its own line breaks stay."""
        rest = " " * _cells(first) if rest is None else rest
        text = printable(text)
        kept = words.pictured(text)
        lines = [
            line
            for i, part in enumerate(text.split("\n"))
            for line in ([part] if i in kept else self._broken(part, self._width - _cells(rest)))
        ]
        return [(rest if i else first) + line for i, line in enumerate(lines)]

    def _broken(self, line: str, width: int) -> list[str]:
        return wrap(line, max(width, 20), break_on_hyphens=False, break_long_words=False) or [""]

    def sheet(self, sheet: Sheet) -> Iterator[str]:
        yield from self._head(sheet)
        found = words.worst_first(sheet.findings)
        if loud := [one for one in found if one.weight < 2]:
            yield ""
            yield from self._findings(loud, sheet)
        if rows := fewest_runs(sheet):
            yield ""
            yield from self._table(rows, sheet)
        yield ""
        for one, lines in words.places([one for one in found if one.weight >= 2]):
            yield from self._quiet(one, lines, sheet)
        for name, live in sheet.live.items():
            yield from self.filled(words.live_words(name, live), "live      ")
        yield from self.filled(words.undo_words(sheet.undo), "rollback  ")
        for line in words.untold_lines(sheet):
            yield from self.filled(line, " " * 10)
        for note in sheet.notes:
            yield from self.filled(note, "also      ")

    def _head(self, sheet: Sheet) -> Iterator[str]:
        name = _line(sheet.id)
        facts = f"{words.shape(sheet)}  {_line(str(sheet.path))}"
        if len(name) + 2 + len(facts) <= self._width:
            yield f"{self.bold(name)}  {facts}"
        else:
            yield self.bold(name)
            yield from self.filled(facts)
        if sheet.title:
            yield from self.filled(sheet.title)
        yield self.judged(verdict(sheet.worst), sheet.worst) + f": {words.counts(sheet.findings)}"

    # --- Findings ---

    def _findings(self, found: Sequence[Finding], sheet: Sheet) -> Iterator[str]:
        """What has to be looked at: the statement once, advice that is the same for several once."""
        by_number = {one.number: one for one in sheet.statements}
        said: set[object] = set()
        alike: dict[tuple[str, str, Path], list[Finding]] = {}
        for one in found:
            place = _place(one, sheet)
            label = self.painted(one.severity.ljust(8), one.severity)
            so_far = alike.setdefault((one.severity, one.rule, one.path), [])
            so_far.append(one)
            if len(so_far) > SHOWN_FINDINGS:
                continue
            yield f"{label}  {place}{_line(one.rule)}"
            yield from self.filled(one.happens, " " * 10)
            statement = by_number.get(one.statement or 0)
            # The error of one that failed shows its line.
            if statement and statement.number not in said and statement.state != FAILED:
                said.add(statement.number)
                yield from (" " * 10 + line for line in _sql(statement))
            if (one.hurts, one.safer) not in said:
                said.add((one.hurts, one.safer))
                yield from self.filled(one.hurts, " " * 10) if one.hurts else ()
                yield from self.filled(one.safer, " " * 8 + "→ ") if one.safer else ()
        for (severity, rule, _), all_of_them in alike.items():
            if more := all_of_them[SHOWN_FINDINGS:]:
                text = f"{rule}: {len(more):,} more like it, the last at {_place(more[-1], sheet).rstrip()}"
                first, *rest = self.filled(text, severity.ljust(10))
                yield self.painted(first[:10], severity) + first[10:]
                yield from rest

    def _quiet(self, one: Finding, lines: str, sheet: Sheet) -> Iterator[str]:
        """A note, or what was allowed, with the reason."""
        word = "allowed" if one.allowed else one.severity
        place = f"{lines}  " if one.path == sheet.path else _place(one, sheet)
        text = f"{place}{one.rule}: {one.allowed or one.happens}"
        first, *rest = self.filled(text, word.ljust(10))
        yield self.painted(first[:10], word) + first[10:]
        yield from rest

    # --- The table ---

    def _table(self, rows: Sequence[Run], sheet: Sheet) -> Iterator[str]:
        """A row for each statement, under it the locks that it takes and those it runs under."""
        table = [HEADER, *map(_row, rows)]
        used = [i for i in range(len(HEADER)) if any(row[i] for row in table[1:])]
        cells = [[printable(row[i]).replace("\n", " ") for i in used] for row in table]
        widths = self._widths(cells, [k for k, i in enumerate(used) if i in _WRAPPED])
        indent = " " * (widths[0] + widths[1] + 4)
        for run, row in zip([None, *rows], cells, strict=True):
            parts = [wrap(cell, width) or [""] for cell, width in zip(row, widths, strict=True)]
            for j in range(max(map(len, parts))):
                line = "  ".join(
                    _padded(part[j] if j < len(part) else "", width, right=k < 2)
                    for k, (part, width) in enumerate(zip(parts, widths, strict=True))
                ).rstrip()
                yield line if run else self.painted(line, "allowed")
            for text in _lock_lines(run.first, sheet) if run and run.state == RAN else ():
                yield from self.filled(text, indent)

    def _widths(self, cells: Sequence[Sequence[str]], wrapped: Sequence[int]) -> list[int]:
        """The widths of the columns; where they are too much, the widest give way, at last also in the middle of words."""
        columns = list(zip(*cells, strict=True))
        widths = [max(map(_cells, column)) for column in columns]
        words = [max((_cells(word) for cell in column for word in cell.split()), default=0) for column in columns]
        for least in (words, [9] * len(words)):
            while sum(widths) + 2 * (len(widths) - 1) > self._width:
                giving = [i for i in wrapped if widths[i] > least[i]]
                if not giving:
                    break
                widths[max(giving, key=lambda i: widths[i])] -= 1
        return widths


def _row(run: Run) -> tuple[str, ...]:
    if run.state != RAN:
        state = run.state.upper() if run.state == FAILED else run.state
        return (run.numbers, run.lines, run.name, state, "", "")
    work = words.work_words(run) or "none"
    return (run.numbers, run.lines, run.name, work, words.changes_words(run), words.measured_words(run))


def _lock_lines(one: Seen, sheet: Sheet) -> Iterator[str]:
    """What it takes of what was there before, and what it runs under; a lock on what was made here harms nobody."""
    for lock in words.shown_locks(one):
        if lock.relation.existed:
            parts = (words.lock_words(lock, sheet.live), lock.blocks, words.across_words(one, lock))
            yield "takes " + "; ".join(filter(None, parts))
    if held := words.held_words(one):
        yield f"under {held}"


def _place(one: Finding, sheet: Sheet) -> str:
    """L12, or the other file with its line."""
    return f"L{one.line}  " if one.path == sheet.path else f"{_line(str(one.path))}:{one.line}  "


def _sql(one: Seen) -> Iterator[str]:
    lines = printable(one.sql).split("\n")
    digits = len(str(one.line + min(len(lines), SHOWN_SQL) - 1))
    yield from (f"{one.line + i:{digits}} | {line}".rstrip() for i, line in enumerate(lines[:SHOWN_SQL]))
    if len(lines) > SHOWN_SQL:
        yield f"{'':{digits}} | … {words.number(len(lines) - SHOWN_SQL, 'more line')}"


def _line(name: str) -> str:
    """A name on one line, whatever it holds: it must not look like a line of ours."""
    return " ".join(printable(name).split())


def printable(text: str) -> str:
    """The text, with what a terminal would obey, or show in another order, as escapes."""
    text = text.replace("\r\n", "\n").replace("\t", "    ")
    return _CONTROL.sub(lambda sign: sign[0].encode("unicode_escape").decode(), text)


def _cells(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(sign) else 2 if east_asian_width(sign) in "WF" else 1 for sign in text)


def _padded(text: str, width: int, *, right: bool) -> str:
    blank = " " * (width - _cells(text))
    return blank + text if right else text + blank
