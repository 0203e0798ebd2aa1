"""The steps of a Python migration, in yoyo's order, from the calls of step and group in its file.

What is accepted is what yoyo/migrations.py (StepCollector, MigrationStep) takes.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pgyoyo.migrations.python.module import Module
from pgyoyo.migrations.python.values import Call, Function, UndecidedError, Unknown, is_opaque

# (line, message)
Fault = tuple[int, str]
_IGNORED = (None, "all", "apply", "rollback")


@dataclass(frozen=True, slots=True)
class Part:
    """What one direction of a step runs: SQL, or `code`, what it is otherwise, which only Python can run.

    The text begins on `line` of the file; `exact` says that its lines are lines of the file. `ignores` errors: yoyo would go
    on after one.
    """

    line: int
    sql: str = ""
    exact: bool = False
    code: str = ""
    ignores: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """A step, from its first to its last line; a direction that runs nothing is None."""

    line: int
    end: int
    apply: Part | None
    rollback: Part | None


@dataclass(frozen=True, slots=True)
class Steps:
    """All that a Python file tells yoyo; `undecided` is where only Python can tell more, and why."""

    steps: tuple[Step, ...] = ()
    depends: tuple[str, ...] = ()
    depends_line: int = 0
    transactional: bool = True
    doc: str = ""
    undecided: Fault | None = None
    faults: tuple[Fault, ...] = ()


def read(tree: ast.Module, path: str) -> Steps:
    """The steps of a module, and what is wrong in it: what yoyo would stop at when it imports the file."""
    module, undecided, faults = Module(), None, list[Fault]()
    try:
        module.run(tree, path)
    except UndecidedError as error:
        undecided = (error.line, error.reason)
    doc = module.names.get("__doc__")
    depends, transactional = module.names.get("__depends__", ()), module.names.get("__transactional__", True)
    lines = {name: _line_of(tree, name) for name in ("__depends__", "__transactional__")}
    ids = [depends] if isinstance(depends, str) else depends
    if isinstance(ids, (list, tuple, set, frozenset, dict)) and all(isinstance(name, str) for name in ids):
        needed = tuple(ids) if not isinstance(ids, (set, frozenset)) else tuple(_in_order(tree, ids))
    else:
        needed = ()
        if undecided is None:
            faults.append(
                (lines["__depends__"], '__depends__ can\'t be read here; write ids as strings: {"0001_users"}')
            )
    if is_opaque(transactional):
        undecided = undecided or (lines["__transactional__"], "__transactional__ is not True or False")
        transactional = True
    steps: tuple[Step, ...] = ()
    if undecided is None:
        steps = tuple(_steps(module, faults))
    return Steps(
        steps,
        needed,
        lines["__depends__"],
        bool(transactional),
        doc if isinstance(doc, str) else "",
        undecided,
        tuple(faults),
    )


def _line_of(tree: ast.Module, name: str) -> int:
    lines = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name]
    return max(lines, default=0)


def _in_order(tree: ast.Module, ids: set[str] | frozenset[str]) -> Iterator[str]:
    """The ids of a set in the order of the file."""
    places: dict[str, tuple[int, int]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in ids:
            places.setdefault(node.value, (node.lineno, node.col_offset))
    return iter(sorted(ids, key=lambda name: (*places.get(name, (0, 0)), name)))


def _steps(module: Module, faults: list[Fault]) -> Iterator[Step]:
    """The steps in the order of running them; a group stands where it was made, and its steps no more where they were."""
    collected: dict[int, tuple[Call, list[Step]]] = {}
    for call in module.calls:
        try:
            if call.maker == "step":
                collected[id(call)] = (call, [_step(module, call)])
                continue
            members: list[Step] = []
            for member in _members(call):
                members += collected.pop(id(member))[1]
            ignored = _ignored(call.named.get("ignore_errors"))
            collected[id(call)] = (call, [_ignoring(step, ignored) for step in members])
        except KeyError:
            faults.append((call.line, "group() gets what is no step, or stands in another group; give it steps"))
        except ValueError as error:
            faults.append((call.line, str(error)))
    for _, steps in collected.values():
        yield from steps


def _members(call: Call) -> Iterator[Any]:
    if "steps" in call.named:
        if call.positional:
            raise ValueError("group() takes steps=… or steps in a row, not both")
        yield from (
            call.named["steps"] if isinstance(call.named["steps"], (list, tuple, set)) else (call.named["steps"],)
        )
        return
    for argument in call.positional:
        yield from argument if isinstance(argument, (list, tuple, set)) else (argument,)


def _step(module: Module, call: Call) -> Step:
    names = ("apply", "rollback", "ignore_errors")
    if len(call.positional) > len(names) or (unknown := call.named.keys() - set(names)):
        what = (
            f"{len(call.positional)} arguments" if len(call.positional) > len(names) else f"an argument {min(unknown)}"
        )
        raise ValueError(f"step() gets {what}; yoyo 9.0.0 takes step(apply, rollback=None, ignore_errors=None)")
    given: dict[str, Any] = dict(zip(names, call.positional, strict=False))
    if twice := given.keys() & call.named.keys():
        raise ValueError(f"step() gets {min(twice)} twice; give it once")
    nodes = {name: call.nodes.get(name, call.nodes.get(i)) for i, name in enumerate(names)}
    given |= call.named
    if "apply" not in given:
        raise ValueError('step() gets nothing to apply; write step("SQL to apply", "SQL to roll back")')
    step = Step(
        call.line, call.end, _part(module, call, given["apply"], nodes["apply"]),
        _part(module, call, given.get("rollback"), nodes["rollback"]),
    )  # fmt: skip
    return _ignoring(step, _ignored(given.get("ignore_errors")))


def _ignored(value: Any) -> str | None:
    if value not in _IGNORED:
        what = value.what if is_opaque(value) else repr(value)
        raise ValueError(f'ignore_errors is {what}; yoyo takes "apply", "rollback", "all" or None')
    return value if isinstance(value, str) else None


def _ignoring(step: Step, which: str | None) -> Step:
    def part(held: Part | None, direction: str) -> Part | None:
        if held is None or which not in ("all", direction):
            return held
        return Part(held.line, held.sql, held.exact, held.code, ignores=True)

    return Step(step.line, step.end, part(step.apply, "apply"), part(step.rollback, "rollback")) if which else step


def _part(module: Module, call: Call, value: Any, node: ast.expr | None) -> Part | None:
    """What one argument of step runs; None for nothing."""
    origin = module.origin(node)
    line = origin.lineno if origin else call.line
    if isinstance(value, str):
        exact = origin is not None and (origin.end_lineno or line) - line == value.count("\n")
        return Part(line, value, exact) if value.strip() else None
    if value is None or (not value and not is_opaque(value)):
        return None
    if isinstance(value, Function):
        return Part(call.line, code=value.what)
    if isinstance(value, Unknown):
        return Part(
            call.line, code=f"computed from {value.what}" if node and not isinstance(node, ast.Name) else value.what
        )
    what = value.what if is_opaque(value) else f"a {type(value).__name__}"
    return Part(call.line, code=f"{what}, where yoyo takes a string or a function")
