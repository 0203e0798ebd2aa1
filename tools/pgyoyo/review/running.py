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
from pgyoyo.workload import guards, plans
from pgyoyo.workload.comparison import Effect, effects
from pgyoyo.workload.description import Description, Refusal, Type, describe
from pgyoyo.workload.guards import Guards
from pgyoyo.workload.plans import Indexes
from pgyoyo.workload.refusal import Refusal as WriteRefusal
from pgyoyo.workload.refusals import refusals
from pgyoyo.workload.statements import Query
from pgyoyo.workload.writes import Write, writes

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
    """The statements of a file; `look` first, then for each migration `judge`, on one database."""

    path: Path
    queries: Sequence[Query]
    _now: Sequence[Description | Refusal] = field(default=(), init=False)
    _guards: Guards = field(default_factory=lambda: Guards({}, {}), init=False)
    _indexes: Indexes = field(default_factory=lambda: Indexes({}, frozenset()), init=False)
    _writes: Sequence[tuple[Write, ...]] = field(default=(), init=False)

    def look(self, conn: Connection) -> None:
        """Ask the server what it says of the statements as the schema is now."""
        self._now = describe(conn, [query.text for query in self.queries])
        self._guards, self._indexes = guards.read(conn), plans.read(conn)
        self._writes = self._writes or [writes(query.text) for query in self.queries]

    def judge(self, conn: Connection, file: File, statements: Sequence[ObservedStatement]) -> tuple[list[Finding], str]:
        """The findings of a migration that has just run since the last look, and a line for its sheet."""
        before, guarded, indexed = self._now, self._guards, self._indexes
        self.look(conn)
        understood = [
            () if isinstance(old, Refusal) or isinstance(new, Refusal) else each
            for old, new, each in zip(before, self._now, self._writes, strict=True)
        ]
        refused = refusals(conn, guarded, self._guards, understood)
        gone = indexed.gone(self._indexes)
        findings, counts = [], Counter[str]()
        for query, old, new, refusing in zip(self.queries, before, self._now, refused, strict=True):
            about = _About(query, file, statements)
            judged = [about.changed(effect, old, new) for effect in Effect if effect in effects(old, new)]
            judged += [about.refused(refusing)] if refusing else []
            if isinstance(old, Description) and isinstance(new, Description):
                judged += [about.unindexed(name) for name in plans.lost(old.plan, new.plan, gone, self._indexes)[:1]]
            findings += judged
            rules = {finding.rule for finding in judged} or {"not judged" if isinstance(old, Refusal) else "as before"}
            counts[next(rule for rule in _COUNTED if rule in rules)] += 1
        return findings, self._line(counts)

    def _line(self, counts: Counter[str]) -> str:
        """How many statements there are, and what becomes of them."""
        listed = ", ".join(
            f"{counts[rule]} {words[counts[rule] > 1]}" for rule, words in _COUNTED.items() if counts[rule]
        )
        return f"{number(len(self.queries), 'statement')} of the running release ({self.path}): {listed or 'none'}"


@dataclass(frozen=True, slots=True)
class _About:
    """Makes the findings about a statement of the application: the statements are those of the migration in `file`."""

    query: Query
    file: File
    statements: Sequence[ObservedStatement]

    def changed(self, effect: Effect, old: Description | Refusal, new: Description | Refusal) -> Finding:
        """What the server says of it."""
        finding = self._finding(
            _RULES[effect], _happens(effect, old, new), new.message if isinstance(new, Refusal) else ""
        )
        return replace(finding, severity=WARNING) if _other_types(effect, old, new) else finding

    def refused(self, refusals: Sequence[WriteRefusal]) -> Finding:
        """What refuses the rows that it writes."""
        names = " ".join(name for each in refusals for name in each.about)
        finding = self._finding(_WRITES, "; ".join(each.words for each in refusals), names)
        return finding if any(each.certain for each in refusals) else replace(finding, severity=WARNING)

    def unindexed(self, index: str) -> Finding:
        """The index that served it."""
        return self._finding(_INDEX, f'index "{index}", which served it, is gone, and no other looks up as much', index)

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
