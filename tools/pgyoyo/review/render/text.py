"""The review as text for a terminal: one screen a migration, worst first, the verdict at the end."""

from collections.abc import Iterator, Sequence
from io import StringIO
from pathlib import Path
from textwrap import wrap

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pgyoyo.review.render import phrases, tables
from pgyoyo.review.render.folding import SCREEN, Run, runs
from pgyoyo.review.sheet import (
    ERROR,
    FAILED,
    NOTE,
    PAPERWORK,
    RAN,
    WARNING,
    Finding,
    ObservedStatement,
    Review,
    Sheet,
    verdict,
)
from pgyoyo.text import printable
from pgyoyo.units import number

SHOWN_FINDINGS = 10  # of one rule in one file, in full
SHOWN_SQL = 8  # lines of a statement; the file has the rest
NARROWEST = 60  # columns; in fewer nothing fits
HEADER = ("#", "line", "statement", "work", "catalog", "measured")
_WRAPPED = (2, 3, 4)  # columns of several words
_STYLES = {ERROR: "bold red", WARNING: "yellow", PAPERWORK: "magenta", NOTE: "cyan", "fine": "green", "allowed": "dim"}


def render(review: Review, *, color: bool = False, width: int = 100) -> str:
    """The text; lines are at most `width` wide, but for SQL, paths and words that can't be broken.

    Control characters, which a terminal would obey, are shown as escapes.
    """
    console = Console(
        file=StringIO(), width=max(width, NARROWEST), force_terminal=color, no_color=not color, highlight=False,
        color_system="standard" if color else None, legacy_windows=False,
    )  # fmt: skip
    page = _Page(console)
    for sheet in phrases.ordered(review):
        page.sheet(sheet)
        page.line()
    if review.sheets:
        # They contain paths, which stay whole so that they can be copied.
        for text in phrases.made_on(review):
            page.line(printable(text))
    page.wrapped(phrases.last_line(review), style=_verdict_style(review.worst) if review.sheets else "")
    with console.capture() as capture:
        console.print(Text("\n").join(page.lines), soft_wrap=True)
    return capture.get()


class _Page:
    """Lays out sheets as `lines` of styled text, as wide as the console."""

    def __init__(self, console: Console) -> None:
        self.lines: list[Text] = []
        self._console = console

    def line(self, *parts: str | tuple[str, str]) -> None:
        """One line, however long, of texts or pairs of a text and its style."""
        self.lines.append(Text.assemble(*parts))

    def wrapped(self, text: str, first: str = "", *, label: str = "", style: str = "") -> None:
        """The text in lines that begin with `first`, then with as many blanks; line breaks in it are kept.

        `label` is the style of `first`, `style` that of the text.
        """
        indent = " " * cell_len(first)
        text = printable(text)
        kept = phrases.pictured(text)
        width = max(self._console.width - len(indent), 20)
        for i, part in enumerate(text.split("\n")):
            whole = i in kept or not part.strip()
            for line in [part] if whole else wrap(part, width, break_on_hyphens=False, break_long_words=False):
                self.line((first, label), (line, style))
                first = indent

    def sheet(self, sheet: Sheet) -> None:
        """A sheet: verdict, findings, statements, then the rest."""
        self._head(sheet)
        findings = phrases.worst_first(sheet.findings)
        if loud := [finding for finding in findings if finding.is_loud]:
            self.line()
            self._findings(loud, sheet)
        if rows := runs(sheet, SCREEN):
            self.line()
            self._table(rows, sheet)
        self.line()
        for finding, lines in phrases.places([finding for finding in findings if not finding.is_loud]):
            place = f"{lines}  " if finding.path == sheet.path else _place(finding, sheet)
            text = f"{place}{finding.rule}: {finding.allowed or finding.happens}"
            self.wrapped(text, finding.kind.ljust(10), label=_STYLES[finding.kind])
        for name, live in sheet.live.items():
            self.wrapped(tables.live_words(name, live), "live      ")
        for line in phrases.estimate_lines(sheet):
            self.wrapped(line, "estimate  ")
        self.wrapped(phrases.rollback_words(sheet.rollback), "rollback  ")
        for line in phrases.unreported_lines(sheet):
            self.wrapped(line, " " * 10)
        for note in sheet.notes:
            self.wrapped(note, "also      ")

    def _head(self, sheet: Sheet) -> None:
        name, facts = _line(sheet.id), f"{phrases.shape(sheet)}  {_line(str(sheet.path))}"
        if cell_len(f"{name}  {facts}") <= self._console.width:
            self.line((name, "bold"), f"  {facts}")
        else:
            self.line((name, "bold"))
            self.wrapped(facts)
        if sheet.title:
            self.wrapped(sheet.title)
        self.line((verdict(sheet.worst), _verdict_style(sheet.worst)), f": {phrases.counts(sheet.findings)}")

    def _findings(self, findings: Sequence[Finding], sheet: Sheet) -> None:
        """The loud findings; the SQL of a statement, and advice that several share, only once."""
        statements = {statement.number: statement for statement in sheet.statements}
        shown: set[object] = set()
        groups: dict[tuple[str, str, Path], list[Finding]] = {}
        for finding in findings:
            group = groups.setdefault((finding.severity, finding.rule, finding.path), [])
            group.append(finding)
            if len(group) > SHOWN_FINDINGS:
                continue
            label = (finding.severity.ljust(9), _STYLES[finding.severity])
            self.line(label, f" {_place(finding, sheet)}{_line(finding.rule)}")
            self.wrapped(finding.happens, " " * 10)
            statement = statements.get(finding.statement or 0)
            # An error of the server shows its line already.
            if statement and statement.number not in shown and statement.state != FAILED:
                shown.add(statement.number)
                for line in _sql(statement):
                    self.line(" " * 10 + line)
            if (finding.effect, finding.workaround) not in shown:
                shown.add((finding.effect, finding.workaround))
                for text, first in ((finding.effect, " " * 10), (finding.workaround, " " * 8 + "→ ")):
                    if text:
                        self.wrapped(text, first)
        for (severity, rule, _), group in groups.items():
            if more := group[SHOWN_FINDINGS:]:
                text = f"{rule}: {len(more):,} more like it, the last at {_place(more[-1], sheet).rstrip()}"
                self.wrapped(text, severity.ljust(10), label=_STYLES[severity])

    def _table(self, rows: Sequence[Run], sheet: Sheet) -> None:
        """A row for each run, below it the locks it takes and those it runs under."""
        cells = [HEADER, *map(_row, rows)]
        table = Table.grid(padding=(0, 2, 0, 0))
        used = [i for i in range(len(HEADER)) if any(row[i] for row in cells[1:])]
        for i in used:
            table.add_column(justify="right" if i < 2 else "left", no_wrap=i not in _WRAPPED, overflow="fold")
        for row in cells:
            table.add_row(*(Text(printable(row[i]).replace("\n", " ")) for i in used))
        width, next_width = (max(cell_len(row[i]) for row in cells) for i in (0, 1))
        indent = width + next_width + 4
        run: Run | None = None
        following = iter(rows)
        for i, segments in enumerate(self._console.render_lines(table)):
            text = "".join(segment.text for segment in segments).rstrip()
            # The first line of a row begins with its number; the locks of the row above go before it.
            if i and text[:width].strip():
                self._locks(run, sheet, indent)
                run = next(following)
            self.line((text, "" if run else _STYLES["allowed"]))
        self._locks(run, sheet, indent)

    def _locks(self, run: Run | None, sheet: Sheet, indent: int) -> None:
        """The locks on relations that existed before; those on new ones block nobody."""
        if run is None or run.state != RAN:
            return
        for lock in phrases.shown_locks(run.first.takes):
            if lock.relation.existed:
                parts = (phrases.lock_words(lock, sheet.live), lock.blocks, phrases.across_words(run.first, lock))
                self.wrapped("takes " + "; ".join(filter(None, parts)), " " * indent)
        if held := phrases.held_words(run.first):
            self.wrapped(f"under {held}", " " * indent)


def _verdict_style(worst: str | None) -> str:
    """The style of a verdict; notes don't count."""
    return _STYLES[worst if worst in (ERROR, WARNING, PAPERWORK) else "fine"]


def _row(run: Run) -> tuple[str, ...]:
    if run.state != RAN:
        state = run.state.upper() if run.state == FAILED else run.state
        return (run.numbers, run.lines, run.name, state, "", "")
    work = phrases.work_words(run) or "none"
    return (run.numbers, run.lines, run.name, work, phrases.changes_words(run), phrases.measured_words(run))


def _place(finding: Finding, sheet: Sheet) -> str:
    """L12, or the path of the rollback file with the line."""
    return f"L{finding.line}  " if finding.path == sheet.path else f"{_line(str(finding.path))}:{finding.line}  "


def _sql(statement: ObservedStatement) -> Iterator[str]:
    lines = printable(statement.sql).split("\n")
    digits = len(str(statement.line + min(len(lines), SHOWN_SQL) - 1))
    yield from (f"{statement.line + i:{digits}} | {line}".rstrip() for i, line in enumerate(lines[:SHOWN_SQL]))
    if len(lines) > SHOWN_SQL:
        yield f"{'':{digits}} | … {number(len(lines) - SHOWN_SQL, 'more line')}"


def _line(name: str) -> str:
    """A name on one line: with a line break in it, it could look like a line of ours."""
    return " ".join(printable(name).split())
