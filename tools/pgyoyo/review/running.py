"""The statements of the release that is running, judged by the server before and after each migration under review."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from textwrap import shorten

from psycopg import Connection

from pgyoyo.engine import failures
from pgyoyo.migrations.migration import File
from pgyoyo.review.rulebook import rulebook
from pgyoyo.review.sheet import RAN, WARNING, Finding, ObservedStatement
from pgyoyo.sql import tree
from pgyoyo.units import number
from pgyoyo.workload import judgement
from pgyoyo.workload.comparison import Effect
from pgyoyo.workload.description import Description, Refusal, Type
from pgyoyo.workload.judgement import Look, Verdict
from pgyoyo.workload.reach import Sent, sent
from pgyoyo.workload.statements import Query

_RULES = {
    Effect.BREAKS: "breaks-running-query",
    Effect.COLUMNS: "changes-running-columns",
    Effect.PARAMETERS: "changes-running-parameters",
}
_WRITES = "breaks-running-write"
_INDEX = "query-loses-index"
# What the sheet counts, worst first: of a single statement, and of several.
_COUNTED = {
    "as before": ("as before", "as before"),
    "breaks-running-query": ("breaks", "break"),
    _WRITES: ("writes what may be refused", "write what may be refused"),
    "changes-running-columns": ("gets other columns", "get other columns"),
    "changes-running-parameters": ("takes other parameters", "take other parameters"),
    _INDEX: ("loses its index", "lose their index"),
    "not judged": ("not understood by the schema before",) * 2,
}
_WORD = re.compile(r"\w+")
_SHOWN = 160  # characters of a statement


@dataclass(slots=True)
class Running:
    """The statements of a file; `look` first, then for each migration `judge`, on one database.

    After a `judge` another look is needed only where something else has changed the database since.
    """

    path: Path
    queries: Sequence[Query]
    release: str = "the running release"
    _sent: Sequence[Sent] = field(default=(), init=False)
    _look: Look | None = field(default=None, init=False)

    def look(self, conn: Connection) -> None:
        """Ask the server what it says of the statements as the schema is now."""
        texts = [query.text for query in self.queries]
        self._sent = self._sent or [sent(text) for text in texts]
        self._look = judgement.look(conn, texts, self._sent)

    def judge(self, conn: Connection, file: File, statements: Sequence[ObservedStatement]) -> tuple[list[Finding], str]:
        """The findings of a migration that has just run since the last look, and a line for its sheet."""
        before = self._look
        self.look(conn)
        assert before
        assert self._look
        findings, counts, hidden = [], Counter[str](), set[str]()
        touched = {name for statement in statements for name in _named(statement)}
        written = {name for statement in statements for name in _written(statement)}
        verdicts = judgement.verdicts(conn, before, self._look, self._sent, written)
        for query, verdict in zip(self.queries, verdicts, strict=True):
            judged = list(_About(query, file, statements).findings(verdict))
            findings += judged
            rules = {finding.rule for finding in judged}
            as_before = "not judged" if isinstance(verdict.before, Refusal) else "as before"
            counts[next((rule for rule in _COUNTED if rule in rules), as_before)] += 1
            hidden |= {name for name in verdict.hidden if self._look.functions.mentions(name, touched)}
        return findings, self._line(counts) + (f"; not looked at: {', '.join(sorted(hidden))}" if hidden else "")

    def _line(self, counts: Counter[str]) -> str:
        """How many statements there are, and what becomes of them."""
        listed = ", ".join(
            f"{counts[rule]} {words[counts[rule] > 1]}" for rule, words in _COUNTED.items() if counts[rule]
        )
        return f"{number(len(self.queries), 'statement')} of {self.release} ({self.path}): {listed or 'none'}"


@dataclass(frozen=True, slots=True)
class Releases:
    """The release that is running, and the new one, whose statements are judged on the schema after a rollback."""

    running: Running | None = None
    new: Running | None = None


@dataclass(frozen=True, slots=True)
class _About:
    """Makes the findings about a statement of the application: the statements are those of the migration in `file`."""

    query: Query
    file: File
    statements: Sequence[ObservedStatement]

    def findings(self, verdict: Verdict) -> Iterator[Finding]:
        """What becomes of it, the worst first."""
        old, new = verdict.before, verdict.now
        for effect in Effect:
            if effect in verdict.effects:
                finding = self._finding(
                    _RULES[effect], _happens(effect, old, new), new.message if isinstance(new, Refusal) else ""
                )
                yield replace(finding, severity=WARNING) if _other_types(effect, old, new) else finding
        if verdict.faults:
            words = "; ".join(f"in {fault.function}, which it goes through: {fault.words}" for fault in verdict.faults)
            finding = self._finding(_RULES[Effect.BREAKS], words, " ".join(fault.words for fault in verdict.faults))
            yield finding if any(fault.sure for fault in verdict.faults) else replace(finding, severity=WARNING)
        if verdict.untaken:
            words = "; ".join(verdict.untaken)
            yield replace(self._finding(_RULES[Effect.BREAKS], words, words), severity=WARNING)
        if verdict.rights:  # which role sends it is not known
            words = "; ".join(verdict.rights)
            yield replace(self._finding(_RULES[Effect.BREAKS], words, words), severity=WARNING)
        if verdict.refused:
            names = " ".join(name for each in verdict.refused for name in each.about)
            finding = self._finding(_WRITES, "; ".join(each.words for each in verdict.refused), names)
            certain = any(each.certain for each in verdict.refused)
            yield finding if certain else replace(finding, severity=WARNING)
        for index in verdict.lost[:1]:
            words = f'index "{index}", which served it, is gone, and no other looks up as much'
            yield self._finding(_INDEX, words, index)

    def _finding(self, rule: str, words: str, about: str) -> Finding:
        cause = _cause(self.statements, self.query, about)
        line, place = (cause.line, cause.number) if cause else (1, None)
        return rulebook()[rule].finding(self.file.path, line, place, f"{_name(self.query)}: {words}")


def _other_types(effect: Effect, old: Description | Refusal, new: Description | Refusal) -> bool:
    """Whether a column of the rows has its name and another type, which a client may not take."""
    if effect is not Effect.COLUMNS or isinstance(old, Refusal) or isinstance(new, Refusal):
        return False
    before = dict(old.columns)
    return any(before.get(name, kind) != kind for name, kind in new.columns)


def _name(query: Query) -> str:
    """The statement as a finding names it: its name or its beginning, and how often it was called."""
    text = shorten(failures.hide(query.text), _SHOWN, placeholder=" …")
    calls = "" if query.calls is None else f" ({query.calls:,} calls)"
    return f"{query.name}{calls}: {text}" if query.name else f"{text}{calls}"


def _happens(effect: Effect, old: Description | Refusal, new: Description | Refusal) -> str:
    if isinstance(new, Refusal):
        return new.message
    assert isinstance(old, Description)
    if effect is Effect.COLUMNS:
        return f"columns {_columns(old.columns)} become {_columns(new.columns)}"
    pairs = enumerate(zip(old.parameters, new.parameters, strict=False), start=1)
    return ", ".join(
        f"${place} is {after.name}, no longer {before.name}" for place, (before, after) in pairs if before != after
    )


def _columns(columns: Sequence[tuple[str, Type]]) -> str:
    return "(" + ", ".join(f"{name} {kind.name}" for name, kind in columns) + ")"


def _cause(statements: Sequence[ObservedStatement], query: Query, about: str) -> ObservedStatement | None:
    """The statement whose changes name most of what the query, or what the finding about it, names; None where none does."""
    words = {word.lower() for word in _WORD.findall(query.text)}
    reason = {word.lower() for word in _WORD.findall(about)}
    ran = [statement for statement in statements if statement.state == RAN and statement.changes]

    def score(statement: ObservedStatement) -> int:
        named = set(_named(statement))
        return len(named & words) + 2 * len(named & reason)

    best = max(ran, key=score, default=None)
    return best if len(ran) == 1 or (best and score(best)) else None


def _named(statement: ObservedStatement) -> Iterator[str]:
    for change in statement.changes:
        yield from (word.lower() for word in _WORD.findall(change.identity))


def _written(statement: ObservedStatement) -> Iterator[str]:
    """The tables that it writes rows into, as the locks show it, or makes with rows."""
    yield from (lock.relation.name for lock in statement.takes if lock.mode == "ROW EXCLUSIVE")
    # CREATE TABLE AS, SELECT INTO
    node = tree.parse(statement.sql) if statement.changes else None
    if node is not None and any(tree.kind(part) == "IntoClause" for part in tree.walk(node)):
        yield from _named(statement)
