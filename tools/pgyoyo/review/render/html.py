"""A review as one page of HTML that needs nothing else: no script, no file, no network."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from pgyoyo.review.render import phrases as words
from pgyoyo.review.render.folding import Run, runs
from pgyoyo.review.render.text import last_line
from pgyoyo.review.render.timeline import Timeline, timeline
from pgyoyo.review.sheet import FAILED, NOT_REACHED, RAN, Finding, Review, Sheet, verdict

Lines = list[tuple[int, str]]

SHOWN_LINES = 30  # of a statement; the rest of a longer one is folded
MOST_FOLDED = 64_000  # characters of the SQL of statements alike: a page has an end


def render(review: Review) -> str:
    """The page, with a newline at its end."""
    # Takes longer to import than all else here.
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    def shown(value: object) -> object:
        return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    # Everything is escaped; the template writes into HTML only, never into a script or a style.
    environment = Environment(
        autoescape=True, finalize=shown, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string(Path(__file__).with_name("review.html.jinja").read_text(encoding="utf-8"))
    page = template.render(
        review=review,
        parts=[Part(sheet) for sheet in words.ordered(review)],
        verdict=verdict,
        last_line=last_line(review),
        words=words,
        RAN=RAN,
        FAILED=FAILED,
        NOT_REACHED=NOT_REACHED,
    )
    return page.rstrip("\n") + "\n"


class Part:
    """A sheet, as the template asks for it."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        # What an id and the fragment of a link can both hold.
        self.slug = quote(sheet.id, safe="")
        self.runs = runs(sheet)
        self._of: dict[int | None, list[Finding]] = {one.number: [] for one in sheet.statements} | {None: []}
        for finding in words.worst_first(sheet.findings):
            self._of.get(finding.statement, self._of[None]).append(finding)

    @cached_property
    def timeline(self) -> Timeline:
        """The life of its locks."""
        first = {number: found[0] for number, found in self._of.items() if number and found}
        return timeline(self.sheet, {number: one.severity for number, one in first.items() if not one.allowed})

    @cached_property
    def rules(self) -> list[tuple[str, str, list[Finding]]]:
        """(severity or allowed, rule, findings): why the verdict is what it is, worst first."""
        groups: dict[tuple[str, str], list[Finding]] = {}
        for one in words.worst_first(self.sheet.findings):
            groups.setdefault(("allowed" if one.allowed else one.severity, one.rule), []).append(one)
        return [(kind, rule, found) for (kind, rule), found in groups.items()]

    def findings(self, run: Run) -> list[list[Finding]]:
        """Those of a statement, worst first; those that say the same of several lines together."""
        return _alike(self._of[run.first.number])

    @property
    def of_file(self) -> list[list[Finding]]:
        """Those of the file as a whole."""
        return _alike(one for one in self._of[None] if not self._is_of_rollback(one))

    @property
    def of_rollback(self) -> list[list[Finding]]:
        """Those of the rollback."""
        return _alike(one for one in self._of[None] if self._is_of_rollback(one))

    def place(self, finding: Finding) -> str:
        """Where on the page a finding stands."""
        if finding.statement in self._of and finding.statement:
            return f"{self.slug}:{finding.statement}"
        return f"{self.slug}:rollback" if self._is_of_rollback(finding) else self.slug

    def _is_of_rollback(self, finding: Finding) -> bool:
        return finding.source == "rollback" or finding.path == self.sheet.undo_path

    def sql(self, run: Run) -> tuple[Lines, Lines, int]:
        """The numbered lines of a statement, those that are folded, and how many statements are in neither.

        Of several alike the first is shown and the others are folded.
        """
        first, *others = run.statements
        lines = list(numbered(first.sql, first.line))
        if not others:
            # One line is not worth a click.
            return (lines, [], 0) if len(lines) <= SHOWN_LINES + 1 else (lines[:SHOWN_LINES], lines[SHOWN_LINES:], 0)
        size, kept = 0, Lines()
        for count, one in enumerate(others):
            size += len(one.sql)
            if size > MOST_FOLDED:
                return lines, kept, len(others) - count
            kept += numbered(one.sql, one.line)
        return lines, kept, 0

    @property
    def undo_lines(self) -> Lines:
        """The numbered lines of the rollback file."""
        return list(numbered(self.sheet.undo_sql, 1))


def _alike(findings: Iterable[Finding]) -> list[list[Finding]]:
    groups: dict[Finding, list[Finding]] = {}
    for one in findings:
        groups.setdefault(replace(one, line=0), []).append(one)
    return list(groups.values())


def numbered(sql: str, first: int) -> Iterator[tuple[int, str]]:
    """The lines of a text with their numbers in the file; none without a text."""
    if text := sql.rstrip():
        yield from enumerate(text.replace("\r\n", "\n").split("\n"), start=first)


def visible(text: str) -> str:
    """The text, with characters that would be unseen, or turn the order of others, as escapes (CVE-2021-42574)."""
    return re.sub(
        "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]",
        lambda sign: sign[0].encode("unicode_escape").decode(),
        text.replace("\r\n", "\n"),
    )
