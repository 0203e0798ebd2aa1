"""The values that the text of a Python file can come to, and the operations on them."""

import ast
import inspect
import operator
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

# Longer texts and loops than these are no migration's.
LONGEST = 1 << 24
MOST_TURNS = 10_000
DEEPEST = 250
MOST_CALLS = 20

BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Mod: operator.mod,
    ast.BitOr: operator.or_,
}
COMPARED: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {ast.Not: operator.not_, ast.USub: operator.neg}
_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    str, int, len, range, list, tuple, set, frozenset, dict, sorted, reversed, enumerate, zip, repr, min, max,
)  # fmt: skip
BUILTINS: Mapping[str, Callable[..., Any]] = {function.__name__: function for function in _FUNCTIONS}
LIBRARY: Mapping[tuple[str, ...], Callable[..., Any]] = {
    ("textwrap", "dedent"): textwrap.dedent,
    ("textwrap", "indent"): textwrap.indent,
    ("inspect", "cleandoc"): inspect.cleandoc,
}
_OF_TEXT = (
    "capitalize format join lower lstrip removeprefix removesuffix replace rstrip split splitlines strip title upper "
    "startswith endswith"
)
METHODS: Mapping[type[Any], frozenset[str]] = {
    str: frozenset(_OF_TEXT.split()),
    list: frozenset(("append", "extend", "insert", "copy", "index", "count")),
    set: frozenset(("add", "update", "union", "copy")),
    dict: frozenset(("items", "keys", "values", "get", "copy", "update")),
}
PLAIN = (str, bytes, int, float, type(None), list, tuple, set, frozenset, dict)


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that only Python itself can tell; `what` says what it is, `line` where it stands.

    `can_add` is set where calling it may add steps to the migration; `path` is its name, from the module that it is from.
    """

    line: int
    what: str
    can_add: bool = True
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """A function of the file, or a lambda."""

    line: int
    what: str
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass(frozen=True, slots=True)
class Maker:
    """yoyo's step or group, or a module that holds them."""

    what: str


@dataclass(frozen=True, slots=True, eq=False)
class Method:
    """A method of a value that is known."""

    owner: Any
    name: str
    what: str = "a method"


@dataclass(slots=True, eq=False)
class Call:
    """A call of step or group: its arguments, and the expressions that they were read from."""

    maker: str
    line: int
    end: int
    positional: list[Any]
    named: dict[str, Any]
    nodes: dict[int | str, ast.expr] = field(default_factory=dict)
    what: str = "a step"


class UndecidedError(Exception):
    """What the file does from this line on is not known without running it."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


def is_opaque(value: Any) -> bool:
    """Whether it is no value of Python's own that can be computed with."""
    return isinstance(value, (Unknown, Function, Maker, Call, Method))


def parts(value: Any) -> Iterator[Any]:
    """The value, and all that it holds: what becomes a part of its text."""
    yield value
    held = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    if isinstance(held, (list, tuple, set, frozenset)):
        for part in held:
            yield from parts(part)


def opaque(line: int, *values: Any) -> Unknown:
    """What comes of an operation on values of which one is not known."""
    return Unknown(line, next((part.what for part in values if is_opaque(part)), "a value"), can_add=False)
