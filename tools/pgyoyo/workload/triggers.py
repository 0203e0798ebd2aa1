"""Whether a trigger rejects a row: its PL/pgSQL is followed, with the conditions that the values of the row decide."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from pgyoyo.sql import tree
from pgyoyo.sql.lexer import folded
from pgyoyo.workload.guards import Trigger

# catalog/pg_trigger.h: the bits of tgtype.
ROW, BEFORE = 1, 2
_ERROR = 21  # utils/elog.h
_DATA = frozenset(("data_exception", "others"))  # what catches any value that a type does not take
_TRUSTED = frozenset(("internal", "c", "sql"))  # functions of the server and of extensions, which don't reject rows
_NEVER_NULL = re.compile(r"\s*null\s*", re.IGNORECASE)
_NAME = r'(?P<name>"(?:[^"]|"")+"|[^"\s:=\[.]+)'
_ASSIGNED = re.compile(rf'\s*new\s*(\.\s*{_NAME})?[^"]*?:?=', re.IGNORECASE)
_COPIED = re.compile(rf'\s*new\s*\.\s*{_NAME}\s*(::[\w\s().,"]+)*', re.IGNORECASE)
_INTO_ROW = re.compile(r"\binto\s+(strict\s+)?new\b", re.IGNORECASE)

# Whether a condition is true of the row, where these columns have been set since: None where that is not known.
Decide = Callable[[str, frozenset[str]], bool | None]
_Part = dict[str, Any]


class Outcome(IntEnum):
    """Whether a row is rejected."""

    NEVER = 0
    MAYBE = 1
    ALWAYS = 2


@dataclass(frozen=True, slots=True)
class Followed:
    """What a trigger does to a row: whether it rejects it, and the columns that it sets before the row is checked.

    `surely` are set in any case, `perhaps` at least in some; `all`: which is not known. `copies`: of the first those that get
    the value of another column of the row. `caught`: those for which a value that does not fit is caught where it is set.
    """

    outcome: Outcome
    surely: frozenset[str] = frozenset()
    perhaps: frozenset[str] = frozenset()
    all: bool = False
    copies: Mapping[str, str] = field(default_factory=dict)
    caught: frozenset[str] = frozenset()


def followed(trigger: Trigger, decide: Decide) -> Followed:
    """What the trigger does, by an exception or, before a row, by returning NULL; of what it sets, NEW alone counts."""
    when = True if trigger.condition is None else decide(trigger.condition, frozenset())
    before = trigger.type & (ROW | BEFORE) == ROW | BEFORE
    if when is False:
        return Followed(Outcome.NEVER)
    if trigger.language in _TRUSTED:
        return Followed(Outcome.NEVER, all=before)
    if trigger.language != "plpgsql" or not (block := _block(trigger)):
        return Followed(Outcome.MAYBE, all=before)
    walk = _Walk(decide, sure=when is True, skips=before and not _writes(block))
    inside = walk.block(block)
    hidden = walk.row or _INTO_ROW.search(trigger.body) is not None
    return Followed(
        inside if when else min(inside, Outcome.MAYBE), frozenset(walk.surely), frozenset(walk.perhaps), before and hidden,
        walk.copies, frozenset(walk.perhaps - walk.open),
    )  # fmt: skip


def shape(trigger: Trigger) -> str:
    """What the trigger does, without its name and the layout of its function."""
    block = _block(trigger)
    body = repr(_without_lines(block)) if block else trigger.body
    return repr((trigger.type, sorted(trigger.columns), trigger.condition, trigger.language, body))


def _block(trigger: Trigger) -> _Part:
    body = tree.parse_body(trigger.definition) if trigger.language == "plpgsql" else []
    action = body[0].get("PLpgSQL_function", {}).get("action", {}) if body else {}
    return dict(action.get("PLpgSQL_stmt_block", {}))


def _without_lines(part: Any) -> Any:
    if isinstance(part, dict):
        return {key: _without_lines(value) for key, value in part.items() if key != "lineno"}
    return [_without_lines(each) for each in part] if isinstance(part, list) else part


def _parts(body: Any) -> Iterator[tuple[str, _Part]]:
    """Every part of a body with its kind."""
    return ((name, value) for name, value in tree.body_parts(body) if isinstance(value, dict))


def _writes(block: _Part) -> bool:
    """Whether it may put the row elsewhere before it returns NULL."""
    return any(kind in ("PLpgSQL_stmt_execsql", "PLpgSQL_stmt_dynexecute") for kind, _ in _parts(block))


class _Walk:
    """Follows the statements of a body in their order; `row`: the row is set as a whole."""

    def __init__(self, decide: Decide, *, sure: bool, skips: bool) -> None:
        self._decide = decide
        self._skips = skips
        self._sure = sure
        self.surely: set[str] = set()
        self.perhaps: set[str] = set()
        self.copies: dict[str, str] = {}
        self.open: set[str] = set()
        self.row = False
        self._catches = False

    @contextmanager
    def _unsure(self, *, but_for: bool = False) -> Iterator[None]:
        """What is followed within is not done in any case."""
        before, self._sure = self._sure, self._sure and but_for
        yield
        self._sure = before

    def _is_true(self, expression: _Part) -> bool | None:
        return self._decide(expression["PLpgSQL_expr"]["query"], frozenset(self.perhaps))

    def _assign(self, query: str) -> None:
        match = _ASSIGNED.match(query)
        if match is None:
            return
        name = folded(match["name"]) if match["name"] else ""
        self.row = self.row or not name
        self.perhaps.add(name)
        if not self._catches and not _NEVER_NULL.fullmatch(query[match.end() :]):
            self.open.add(name)
        self.copies = {to: source for to, source in self.copies.items() if name not in (to, source)}
        if self._sure and name:
            self.surely.add(name)
            if copied := _COPIED.fullmatch(query[match.end() :]):
                self.copies[name] = folded(copied["name"])

    def block(self, part: _Part) -> Outcome:
        if "exceptions" not in part:
            return self._list(part.get("body", ()))[0]
        handlers = [each for kind, each in _parts(part["exceptions"]) if kind == "PLpgSQL_exception"]
        with self._unsure():
            before, self._catches = self._catches, self._catches or bool(_DATA & _caught(handlers))
            result = self._list(part.get("body", ()))[0]
            self._catches = before
            caught = max((self._list(each.get("action", ()))[0] for each in handlers), default=Outcome.NEVER)
        return min(max(caught, result), Outcome.MAYBE) if caught or "others" not in _caught(handlers) else Outcome.NEVER

    def _list(self, statements: Sequence[_Part]) -> tuple[Outcome, bool]:
        """What becomes of the row, and whether the function may have returned before the end."""
        worst, left = Outcome.NEVER, False
        for statement in statements:
            [(kind, part)] = statement.items()
            with self._unsure(but_for=not left):
                result, ends = self._statement(kind, part)
            if result is Outcome.ALWAYS and not left:
                return result, True
            worst = max(worst, min(result, Outcome.MAYBE))
            if ends is True:
                return worst, True
            left = left or ends is None
        return worst, left

    def _statement(self, kind: str, part: _Part) -> tuple[Outcome, bool | None]:
        """What becomes of the row, and whether the function ends there; None: perhaps."""
        match kind:
            case "PLpgSQL_stmt_assign":
                self._assign(part["expr"]["PLpgSQL_expr"]["query"])
                return Outcome.NEVER, False
            case "PLpgSQL_stmt_raise":
                fails = part.get("elog_level", _ERROR) >= _ERROR
                return (Outcome.ALWAYS, True) if fails else (Outcome.NEVER, False)
            case "PLpgSQL_stmt_assert":
                passes = self._is_true(part["cond"])
                return ({True: Outcome.NEVER, False: Outcome.ALWAYS, None: Outcome.MAYBE}[passes], False)
            case "PLpgSQL_stmt_return":
                value = part.get("expr", {}).get("PLpgSQL_expr", {}).get("query", "")
                return (Outcome.ALWAYS if self._skips and _NEVER_NULL.fullmatch(value) else Outcome.NEVER, True)
            case "PLpgSQL_stmt_if":
                return self._if(part)
            case "PLpgSQL_stmt_block":
                result = self.block(part)
                return result, True if result is Outcome.ALWAYS else None
        with self._unsure():
            inside = [self._list(body)[0] for body in _bodies(part)]
        return min(max(inside, default=Outcome.NEVER), Outcome.MAYBE), None if inside else False

    def _if(self, part: _Part) -> tuple[Outcome, bool | None]:
        branches = [(part["cond"], part.get("then_body", ()))]
        more = [each["PLpgSQL_if_elsif"] for each in part.get("elsif_list", ())]
        branches += [(each["cond"], each.get("stmts", ())) for each in more]
        possible: list[tuple[Outcome, bool]] = []
        known = True
        for condition, body in branches:
            truth = self._is_true(condition)
            known = known and truth is not None
            if truth is not False:
                with self._unsure(but_for=known):
                    possible.append(self._list(body))
            if truth:
                break
        else:
            with self._unsure(but_for=known):
                possible.append(self._list(part.get("else_body", ())))
        results, ends = {result for result, _ in possible}, {end for _, end in possible}
        ending = ends.pop() if len(ends) == 1 else None
        return (results.pop() if len(results) == 1 else Outcome.MAYBE), ending


def _bodies(part: Any) -> Iterator[Sequence[_Part]]:
    """The lists of statements in a loop or a CASE."""
    if isinstance(part, dict):
        for key, value in part.items():
            if key in ("body", "stmts", "else_stmts") and isinstance(value, list):
                yield value
            else:
                yield from _bodies(value)
    elif isinstance(part, list):
        for each in part:
            yield from _bodies(each)


def _caught(handlers: Sequence[_Part]) -> set[str]:
    """The names of the conditions that they are for."""
    return {part.get("condname", "") for each in handlers for kind, part in _parts(each) if kind == "PLpgSQL_condition"}
