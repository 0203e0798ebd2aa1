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
from pgyoyo.units import number
from pgyoyo.workload import guards
from pgyoyo.workload.comparison import Effect, effects
from pgyoyo.workload.description import Description, Refusal, Type, describe
from pgyoyo.workload.guards import Guards
from pgyoyo.workload.refusals import refusals
from pgyoyo.workload.statements import Query
from pgyoyo.workload.writes import Write, writes

_RULES = {
    Effect.BREAKS: "breaks-running-query",
    Effect.COLUMNS: "changes-running-columns",
    Effect.PARAMETERS: "changes-running-parameters",
}
_WRITES = "breaks-running-write"
_WORD = re.compile(r"\w+")
_SHOWN = 160  # characters of a statement


@dataclass(slots=True)
class Running:
    """The statements of a file; `look` first, then for each migration `judge`, on one database."""

    path: Path
    queries: Sequence[Query]
    _now: Sequence[Description | Refusal] = field(default=(), init=False)
    _guards: Guards = field(default_factory=lambda: Guards({}, {}), init=False)
    _writes: Sequence[tuple[Write, ...]] = field(default=(), init=False)

    def look(self, conn: Connection) -> None:
        """Ask the server what it says of the statements as the schema is now."""
        self._now = describe(conn, [query.text for query in self.queries])
        self._guards = guards.read(conn)
        self._writes = self._writes or [writes(query.text) for query in self.queries]

    def judge(self, conn: Connection, file: File, statements: Sequence[ObservedStatement]) -> tuple[list[Finding], str]:
        """The findings of a migration that has just run since the last look, and a line for its sheet."""
        before, guarded = self._now, self._guards
        self.look(conn)
        understood = [
            () if isinstance(old, Refusal) or isinstance(new, Refusal) else each
            for old, new, each in zip(before, self._now, self._writes, strict=True)
        ]
        refused = refusals(conn, guarded, self._guards, understood)
        findings, counts = [], Counter[str]()
        for query, old, new, refusing in zip(self.queries, before, self._now, refused, strict=True):
            changed = effects(old, new)
            counts[_outcome(old, changed, refused=bool(refusing))] += 1
            cause = _cause(statements, query, new.message if isinstance(new, Refusal) else "")
            for effect in sorted(changed, key=list(Effect).index):
                finding = _finding(_RULES[effect], file, cause, f"{_name(query)}: {_happens(effect, old, new)}")
                findings.append(replace(finding, severity=WARNING) if _other_types(effect, old, new) else finding)
            if refusing:
                cause = _cause(statements, query, " ".join(name for each in refusing for name in each.about))
                words = "; ".join(each.words for each in refusing)
                finding = _finding(_WRITES, file, cause, f"{_name(query)}: {words}")
                certain = any(each.certain for each in refusing)
                findings.append(finding if certain else replace(finding, severity=WARNING))
        return findings, self._line(counts)

    def _line(self, counts: Counter[str]) -> str:
        """How many statements there are, and what becomes of them."""
        words = {
            "as before": "as before", "breaks-running-query": "no longer understood", _WRITES: "that write what is refused",
            "changes-running-columns": "with other columns", "changes-running-parameters": "with other parameters",
            "not judged": "not understood by the schema before",
        }  # fmt: skip
        listed = ", ".join(f"{counts[key]} {text}" for key, text in words.items() if counts[key])
        return f"{number(len(self.queries), 'statement')} of the running release ({self.path}): {listed or 'none'}"


def _finding(rule: str, file: File, cause: ObservedStatement | None, happens: str) -> Finding:
    line, place = (cause.line, cause.number) if cause else (1, None)
    return rulebook()[rule].finding(file.path, line, place, happens)


def _outcome(old: Description | Refusal, changed: frozenset[Effect], *, refused: bool) -> str:
    """The worst that becomes of a statement, as the sheet counts it."""
    if isinstance(old, Refusal):
        return "not judged"
    if refused:
        return _WRITES
    return next((_RULES[effect] for effect in Effect if effect in changed), "as before")


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
    """The statement whose changes name most of what the query, or what is said of it, names; None where none does."""
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
