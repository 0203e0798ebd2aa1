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
from pgyoyo.workload.comparison import Effect, effects
from pgyoyo.workload.description import Description, Refusal, Type, describe
from pgyoyo.workload.statements import Query
from pgyoyo.workload.writes import Missing, missing

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
    _missing: Sequence[Missing] = field(default=(), init=False)

    def look(self, conn: Connection) -> None:
        """Ask the server what it says of the statements as the schema is now."""
        texts = [query.text for query in self.queries]
        self._now, self._missing = describe(conn, texts), missing(conn, texts)

    def judge(self, conn: Connection, file: File, statements: Sequence[ObservedStatement]) -> tuple[list[Finding], str]:
        """The findings of a migration that has just run since the last look, and a line for its sheet."""
        before, left_out = self._now, self._missing
        self.look(conn)
        findings, counts = [], Counter[str]()
        for i, query in enumerate(self.queries):
            old, new = before[i], self._now[i]
            changed = effects(old, new)
            needed = self._missing[i].columns - left_out[i].columns
            counts[_outcome(old, changed, needed=bool(needed))] += 1
            cause = _cause(statements, query, new)
            line, place = (cause.line, cause.number) if cause else (1, None)
            for effect in sorted(changed, key=list(Effect).index):
                words = f"{_name(query)}: {_happens(effect, old, new)}"
                finding = rulebook()[_RULES[effect]].finding(file.path, line, place, words)
                findings.append(replace(finding, severity=WARNING) if _other_types(effect, old, new) else finding)
            if needed and not isinstance(new, Refusal) and not isinstance(old, Refusal):
                words = f"{_name(query)}: it gives no value for {', '.join(sorted(needed))}, which has to have one"
                finding = rulebook()[_WRITES].finding(file.path, line, place, words)
                findings.append(replace(finding, severity=WARNING) if self._missing[i].uncertain else finding)
        return findings, self._line(counts)

    def _line(self, counts: Counter[str]) -> str:
        """How many statements there are, and what becomes of them."""
        words = {
            "as before": "as before", "breaks-running-query": "no longer understood", _WRITES: "that write too little",
            "changes-running-columns": "with other columns", "changes-running-parameters": "with other parameters",
            "not judged": "not understood by the schema before",
        }  # fmt: skip
        listed = ", ".join(f"{counts[key]} {text}" for key, text in words.items() if counts[key])
        return f"{number(len(self.queries), 'statement')} of the running release ({self.path}): {listed or 'none'}"


def _outcome(old: Description | Refusal, changed: frozenset[Effect], *, needed: bool) -> str:
    """The worst that becomes of a statement, as the sheet counts it."""
    if isinstance(old, Refusal):
        return "not judged"
    if needed and Effect.BREAKS not in changed:
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


def _cause(
    statements: Sequence[ObservedStatement], query: Query, new: Description | Refusal
) -> ObservedStatement | None:
    """The statement whose changes name most of what the query, or its refusal, names; None where none does."""
    words = {word.lower() for word in _WORD.findall(query.text)}
    refused = {word.lower() for word in _WORD.findall(new.message)} if isinstance(new, Refusal) else set()
    ran = [statement for statement in statements if statement.state == RAN and statement.changes]

    def score(statement: ObservedStatement) -> int:
        named = set(_named(statement))
        return len(named & words) + 2 * len(named & refused)

    best = max(ran, key=score, default=None)
    return best if len(ran) == 1 or (best and score(best)) else None


def _named(statement: ObservedStatement) -> Iterator[str]:
    for change in statement.changes:
        yield from (word.lower() for word in _WORD.findall(change.identity))
