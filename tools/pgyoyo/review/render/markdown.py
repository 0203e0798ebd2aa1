"""The review as Markdown for a pull request: the verdict and a table first, then the findings, the SQL folded."""

import re
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from pgyoyo import markdown
from pgyoyo.review.render import phrases
from pgyoyo.review.render.folding import Run, runs
from pgyoyo.review.sheet import FAILED, RAN, Finding, Review, Sheet, verdict
from pgyoyo.text import printable

LIMIT = 65_000  # GitHub takes 65,536 characters for a comment
LONGEST = 2_000  # characters of the text of a finding or note
COLUMNS = ("#", "line", "statement", "takes", "blocks", "under", "work", "catalog", "measured")
# What each level of the template leaves out; at the last one the page is cut where the room ends.
CUTS = (
    "",
    "the SQL of statements without a finding left out",
    "the SQL left out",
    "the SQL and the tables of statements left out",
    "the SQL, the tables of statements and all notes left out",
    "the SQL, all tables and notes, and what comes last left out",
)


def render(review: Review) -> str:
    """The page, short enough for a comment on GitHub; a line at its top names what had to be left out."""
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701 - Markdown
    environment.filters |= {"plain": _plain, "code": _code, "fence": _fence}
    template = environment.from_string(Path(__file__).with_name("review.md.jinja").read_text(encoding="utf-8"))
    overview = markdown.table(
        ("migration", "verdict", "findings", "rollback"),
        (
            (_plain(sheet.id), verdict(sheet.worst), phrases.counts(sheet.findings),
             sheet.rollback.state + (", lossy" if sheet.rollback.lossy else ""))
            for sheet in phrases.ordered(review)
        ),
    )  # fmt: skip
    parts = [Part(sheet) for sheet in phrases.ordered(review)]
    page = ""
    for level, cut in enumerate(CUTS):
        page = template.render(
            review=review, parts=parts, overview=overview, last_line=phrases.last_line(review), verdict=verdict,
            words=phrases, level=level, cut=cut,
        )  # fmt: skip
        if len(page) <= LIMIT:
            return page
    # A line that begins a sheet or a finding stands in no block of code: those of findings are indented.
    return page[: max(page.rfind("\n\n### ", 0, LIMIT), page.rfind("\n\n- ", 0, LIMIT))] + "\n"


class Part:
    """A sheet, as the template needs it; `loud` has each finding that is no note, and whether its advice is new."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        findings = phrases.worst_first(sheet.findings)
        loud = [finding for finding in findings if finding.is_loud]
        advice = [(finding.effect, finding.workaround) for finding in loud]
        self.loud = [(finding, advice.index(advice[i]) == i) for i, finding in enumerate(loud)]
        self.quiet = phrases.places([finding for finding in findings if not finding.is_loud])
        rows = runs(sheet)
        marked = {finding.statement for finding in loud}
        self.marked = [run for run in rows if run.first.number in marked]
        self.harmless = [run for run in rows if run.first.number not in marked]
        self.table = self._table(rows) if rows else ""

    def item(self, finding: Finding, is_new: bool) -> str:  # noqa: FBT001 - the template calls it
        """A finding as the item of a list, its advice only where it is new."""
        happens = finding.happens
        happens = _fence(_cut(happens), "text") if phrases.pictured(happens) else _broken(happens)
        parts = [f"**{finding.severity}** {self.place(finding)} {_code(finding.rule)}", happens]
        if is_new and finding.effect:
            parts.append(_broken(finding.effect))
        if is_new and finding.workaround:
            sql = phrases.is_sql(finding.workaround)
            parts.append(_fence(_cut(finding.workaround)) if sql else f"→ {_broken(finding.workaround)}")
        first, *rest = "\n\n".join(parts).split("\n")
        return "\n".join([f"- {first}", *(f"  {line}" if line else "" for line in rest)])

    def place(self, finding: Finding) -> str:
        """L12, or the path of the rollback file with the line."""
        return f"L{finding.line}" if finding.path == self.sheet.path else _code(f"{finding.path}:{finding.line}")

    def sql(self, run: Run) -> str:
        """The SQL of the first statement of a run, with a semicolon."""
        sql = run.first.sql.rstrip()
        return sql + ("" if sql.endswith(";") else ";")

    def _table(self, rows: Sequence[Run]) -> str:
        """A row for each run; empty columns are left out."""
        cells = [COLUMNS, *map(self._row, rows)]
        used = [i for i in range(len(COLUMNS)) if any(row[i] for row in cells[1:])]
        header, *shown = ([row[i] for i in used] for row in cells)
        return markdown.table(header, shown).rstrip()

    def _row(self, run: Run) -> tuple[str, ...]:
        if run.state != RAN:
            state = "**failed**" if run.state == FAILED else run.state
            return (run.numbers, run.lines, _code(run.name), "", "", "", state, "", "")
        locks = [lock for lock in phrases.shown_locks(run.first.takes) if lock.relation.existed]
        takes = "<br>".join(_plain(phrases.lock_words(lock, self.sheet.live)) for lock in locks)
        blocks = locks[0].blocks.removeprefix("blocks ") if locks else ""
        return (
            run.numbers, run.lines, _code(run.name), takes, blocks, _plain(phrases.held_words(run.first)),
            _plain(phrases.work_words(run)), _code(phrases.changes_words(run)), phrases.measured_words(run),
        )  # fmt: skip


def _fence(text: str, language: str = "sql") -> str:
    """A block of SQL, or of other text, fenced by more backticks than it contains."""
    shown = printable(text).strip("\n")
    ticks = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", shown) or [""]))
    return f"{ticks}{language}\n{shown}\n{ticks}"


def _plain(text: str) -> str:
    """Words on one line that Markdown takes as they are, and in which GitHub sees nobody to notify, nor an issue."""
    shown = markdown.text(printable(_cut(text)))
    return re.sub("[@#](?=[\\w])", r"\g<0><!-- -->", shown)


def _code(text: str) -> str:
    return markdown.code(printable(_cut(text)))


def _broken(text: str) -> str:
    """The words with their line breaks."""
    return "<br>".join(_plain(line) for line in _cut(text.strip()).split("\n"))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
