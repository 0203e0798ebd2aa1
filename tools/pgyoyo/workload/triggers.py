"""Whether a trigger rejects a row: its PL/pgSQL is followed, with the conditions that the values of the row decide."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from pgyoyo.sql import tree
from pgyoyo.workload.guards import Trigger

# catalog/pg_trigger.h: the bits of tgtype.
ROW, BEFORE = 1, 2
_ERROR = 21  # utils/elog.h
_TRUSTED = frozenset(("internal", "c", "sql"))  # functions of the server and of extensions, which don't reject rows
_NEVER_NULL = re.compile(r"\s*null\s*", re.IGNORECASE)
_ASSIGNED = re.compile(r'\s*new\s*(\.\s*("?)(?P<name>[^"\s:=\[.]+)\2)?[^"]*?:?=', re.IGNORECASE)
_INTO_ROW = re.compile(r"\binto\s+(strict\s+)?new\b", re.IGNORECASE)

# True, False, or None for what is not known.
Decide = Callable[[str], bool | None]
_Part = dict[str, Any]


class Outcome(IntEnum):
    """Whether a row is rejected."""

    NEVER = 0
    MAYBE = 1
    ALWAYS = 2


def outcome(trigger: Trigger, decide: Decide) -> Outcome:
    """Whether the trigger rejects a row, by an exception or, before a row, by returning NULL."""
    when = True if trigger.condition is None else decide(trigger.condition)
    if when is False or trigger.language in _TRUSTED:
        return Outcome.NEVER
    if trigger.language != "plpgsql" or not (block := _block(trigger)):
        return Outcome.MAYBE
    inside = _Walk(decide, skips=trigger.type & (ROW | BEFORE) == ROW | BEFORE and not _writes(block)).block(block)
    return inside if when else min(inside, Outcome.MAYBE)


@dataclass(frozen=True, slots=True)
class Assigned:
    """The columns of a row that a trigger sets: in any case, and perhaps; `all`: which is not known."""

    surely: frozenset[str] = frozenset()
    perhaps: frozenset[str] = frozenset()
    all: bool = False


def assigned(trigger: Trigger) -> Assigned:
    """What the function sets of the row before it is checked."""
    block = _block(trigger)
    if not block or _INTO_ROW.search(trigger.body):
        return Assigned(all=True)
    every = _assignments(_parts(block))
    first = _assignments(pair for each in block.get("body", ()) for pair in each.items())
    return Assigned(frozenset(filter(None, first)), frozenset(filter(None, every)), None in every)


def _assignments(parts: Iterable[tuple[str, _Part]]) -> set[str | None]:
    """The columns that are set; None for the row as a whole."""
    queries = [part["expr"]["PLpgSQL_expr"]["query"] for kind, part in parts if kind == "PLpgSQL_stmt_assign"]
    matches = [match["name"] for query in queries if (match := _ASSIGNED.match(query))]
    return {name.lower() if name else None for name in matches}


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
    """Follows the statements of a body in their order."""

    def __init__(self, decide: Decide, *, skips: bool) -> None:
        self._decide = decide
        self._skips = skips

    def block(self, part: _Part) -> Outcome:
        result = self._list(part.get("body", ()))[0]
        if "exceptions" not in part:
            return result
        handlers = [each for kind, each in _parts(part["exceptions"]) if kind == "PLpgSQL_exception"]
        caught = max((self._list(each.get("action", ()))[0] for each in handlers), default=Outcome.NEVER)
        return min(max(caught, result), Outcome.MAYBE) if caught or not _catches_all(handlers) else Outcome.NEVER

    def _list(self, statements: Sequence[_Part]) -> tuple[Outcome, bool]:
        """What becomes of the row, and whether the function may have returned before the end."""
        worst, left = Outcome.NEVER, False
        for statement in statements:
            [(kind, part)] = statement.items()
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
            case "PLpgSQL_stmt_raise":
                fails = part.get("elog_level", _ERROR) >= _ERROR
                return (Outcome.ALWAYS, True) if fails else (Outcome.NEVER, False)
            case "PLpgSQL_stmt_assert":
                passes = self._decide(part["cond"]["PLpgSQL_expr"]["query"])
                return ({True: Outcome.NEVER, False: Outcome.ALWAYS, None: Outcome.MAYBE}[passes], False)
            case "PLpgSQL_stmt_return":
                value = part.get("expr", {}).get("PLpgSQL_expr", {}).get("query", "")
                return (Outcome.ALWAYS if self._skips and _NEVER_NULL.fullmatch(value) else Outcome.NEVER, True)
            case "PLpgSQL_stmt_if":
                return self._if(part)
            case "PLpgSQL_stmt_block":
                result = self.block(part)
                return result, True if result is Outcome.ALWAYS else None
        inside = [self._list(body)[0] for body in _bodies(part)]
        return min(max(inside, default=Outcome.NEVER), Outcome.MAYBE), None if inside else False

    def _if(self, part: _Part) -> tuple[Outcome, bool | None]:
        branches = [(part["cond"], part.get("then_body", ()))]
        more = [each["PLpgSQL_if_elsif"] for each in part.get("elsif_list", ())]
        branches += [(each["cond"], each.get("stmts", ())) for each in more]
        possible: list[tuple[Outcome, bool]] = []
        for condition, body in branches:
            truth = self._decide(condition["PLpgSQL_expr"]["query"])
            if truth is not False:
                possible.append(self._list(body))
            if truth:
                break
        else:
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


def _catches_all(handlers: Sequence[_Part]) -> bool:
    names = [
        part.get("condname", "") for each in handlers for kind, part in _parts(each) if kind == "PLpgSQL_condition"
    ]
    return "others" in names
