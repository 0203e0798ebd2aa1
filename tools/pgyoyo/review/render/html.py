"""The review as a page of HTML that needs nothing else: no script, no other file, no network."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from pgyoyo import units
from pgyoyo.review.render import phrases
from pgyoyo.review.render.folding import Run, runs
from pgyoyo.review.render.timeline import Timeline, timeline
from pgyoyo.review.sheet import FAILED, NOT_REACHED, RAN, Finding, Review, Sheet, verdict
from pgyoyo.text import printable

Lines = list[tuple[int, str]]

SHOWN_LINES = 30  # of a statement; the rest of a longer one is folded
MOST_FOLDED = 64_000  # characters of SQL in one fold, so that a page stays loadable


def render(review: Review) -> str:
    """The page."""

    def shown(value: object) -> object:
        return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    # Everything is escaped; the template puts values into HTML only, never into a script or a style.
    environment = Environment(
        autoescape=True, finalize=shown, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(Path(__file__).with_name("review.html.jinja").read_text(encoding="utf-8"))
    page = template.render(
        review=review,
        parts=[Part(sheet) for sheet in phrases.ordered(review)],
        verdict=verdict,
        words=phrases,
        units=units,
        RAN=RAN,
        FAILED=FAILED,
        NOT_REACHED=NOT_REACHED,
    )
    return page.rstrip("\n") + "\n"


class Part:
    """A sheet, as the template needs it."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        # Percent-encoded, it can be both an id and the fragment of a link.
        self.slug = quote(sheet.id, safe="", errors="backslashreplace")
        self.runs = runs(sheet)
        self._by_statement: dict[int | None, list[Finding]] = {each.number: [] for each in sheet.statements} | {
            None: []
        }
        for finding in phrases.worst_first(sheet.findings):
            self._by_statement.get(finding.statement, self._by_statement[None]).append(finding)

    @cached_property
    def timeline(self) -> Timeline:
        """The locks over the statements."""
        first = {number: findings[0] for number, findings in self._by_statement.items() if number and findings}
        return timeline(self.sheet, {number: each.severity for number, each in first.items() if not each.allowed})

    @cached_property
    def rules(self) -> list[tuple[str, str, list[Finding]]]:
        """(severity or allowed, rule, findings), worst first."""
        groups: dict[tuple[str, str], list[Finding]] = {}
        for finding in phrases.worst_first(self.sheet.findings):
            groups.setdefault((finding.kind, finding.rule), []).append(finding)
        return [(kind, rule, findings) for (kind, rule), findings in groups.items()]

    def findings(self, run: Run) -> list[list[Finding]]:
        """The findings of a statement, worst first, grouped where they differ by the line only."""
        return phrases.grouped(self._by_statement[run.first.number])

    @property
    def of_file(self) -> list[list[Finding]]:
        """The findings of the file as a whole, grouped."""
        return phrases.grouped(finding for finding in self._by_statement[None] if not self._is_of_rollback(finding))

    @property
    def of_rollback(self) -> list[list[Finding]]:
        """The findings of the rollback, grouped."""
        return phrases.grouped(finding for finding in self._by_statement[None] if self._is_of_rollback(finding))

    def place(self, finding: Finding) -> str:
        """The id of the element that shows a finding."""
        if finding.statement in self._by_statement and finding.statement:
            return f"{self.slug}:{finding.statement}"
        return f"{self.slug}:rollback" if self._is_of_rollback(finding) else self.slug

    def _is_of_rollback(self, finding: Finding) -> bool:
        return finding.source == "rollback" or finding.path == self.sheet.rollback.path

    def sql(self, run: Run) -> tuple[Lines, Lines, int]:
        """The numbered lines of a statement, the folded lines, and the number of statements left out of both.

        Of a run the first statement is shown and the rest are folded.
        """
        first, *rest = run.statements
        lines = list(numbered(first.sql, first.line))
        if not rest:
            # A single line more is shown, since the fold itself takes a line.
            return (lines, [], 0) if len(lines) <= SHOWN_LINES + 1 else (lines[:SHOWN_LINES], lines[SHOWN_LINES:], 0)
        size, folded = 0, Lines()
        for count, statement in enumerate(rest):
            size += len(statement.sql)
            if size > MOST_FOLDED:
                return lines, folded, len(rest) - count
            folded += numbered(statement.sql, statement.line)
        return lines, folded, 0

    @property
    def rollback_sql(self) -> Lines:
        """The numbered lines of the rollback file."""
        return list(numbered(self.sheet.rollback.sql, 1))


def numbered(sql: str, first: int) -> Iterator[tuple[int, str]]:
    """The lines of a text with their numbers in the file; none for an empty text."""
    if text := sql.rstrip():
        yield from enumerate(text.replace("\r\n", "\n").split("\n"), start=first)
