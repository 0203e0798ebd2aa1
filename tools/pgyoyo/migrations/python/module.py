"""Statements of a Python file: what its names hold at its end, and the calls of yoyo's step and group, in order."""

import ast
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from pgyoyo.migrations.python import values
from pgyoyo.migrations.python.expressions import Expressions
from pgyoyo.migrations.python.values import (
    Call,
    Function,
    Maker,
    Method,
    UndecidedError,
    Unknown,
    is_opaque,
    opaque,
    parts,
)

_MAKERS = {"step": Maker("step"), "group": Maker("group"), "transaction": Maker("group")}


class _ReturnError(Exception):
    """A return statement; `value` is what it gives."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


@dataclass(slots=True)
class Module(Expressions):
    """A module as far as its text tells: `names`, and `calls` of step and group as they come."""

    calls: list[Call] = field(default_factory=list)

    def run(self, tree: ast.Module, path: str) -> None:
        """Read all statements of the module, which yoyo imports under the name of its path; raises UndecidedError."""
        doc = ast.get_docstring(tree, clean=False)
        self.names = {**_MAKERS, "__name__": path, "__file__": path, "__doc__": doc}
        self._block(tree.body, self.names)

    def _block(self, body: Sequence[ast.stmt], names: dict[str, Any]) -> None:
        for statement in body:
            self._statement(statement, names)

    def _statement(self, node: ast.stmt, names: dict[str, Any]) -> None:
        match node:
            case ast.Expr(value=value):
                self.value(value, names)
            case ast.Assign(targets=targets, value=value):
                result = self.value(value, names)
                for target in targets:
                    self.bind(target, result, names, value)
            case ast.AnnAssign(target=target, value=value):
                if value is not None:
                    self.bind(target, self.value(value, names), names, value)
            case ast.AugAssign(target=ast.Name(id=name) as target, op=op, value=value):
                before = names.get(name, self.names.get(name, Unknown(node.lineno, name)))
                self.bind(target, self.binary(node, op, before, self.value(value, names)), names)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                whole = not node.decorator_list and isinstance(node, ast.FunctionDef)
                names[name] = Function(node.lineno, f"the function {name}", node) if whole else Unknown(
                    node.lineno, f"the function {name}"
                )  # fmt: skip
            case ast.ClassDef(name=name):
                names[name] = Unknown(node.lineno, f"the class {name}")
            case ast.Import() | ast.ImportFrom():
                self._import(node, names)
            case ast.If(test=test, body=body, orelse=orelse):
                decided = self.value(test, names)
                if is_opaque(decided):
                    self._skip(node, names, "a condition that only Python can tell")
                else:
                    self._block(body if decided else orelse, names)
            case ast.For(target=target, iter=over, body=body, orelse=orelse):
                items = self.value(over, names)
                if is_opaque(items) or any(isinstance(inner, (ast.Break, ast.Continue)) for inner in ast.walk(node)):
                    self._skip(node, names, "a loop that only Python can tell")
                    return
                for item in self.items(node, items):
                    self.bind(target, item, names)
                    self._block(body, names)
                self._block(orelse, names)
            case ast.Return(value=value):
                raise _ReturnError(None if value is None else self.value(value, names))
            case ast.Pass() | ast.Assert():
                pass
            case _:
                self._skip(node, names, f"a statement that only Python can tell ({type(node).__name__.lower()})")

    def _skip(self, node: ast.stmt, names: dict[str, Any], what: str) -> None:
        """Leave out a statement whose course is not known, and what it sets unknown; raises where it may add steps."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call) and self._may_add(inner.func, names):
                raise UndecidedError(node.lineno, f"{what}, with {ast.unparse(inner.func)[:40]}() in it")
            if isinstance(inner, (ast.Return, ast.Raise)):
                raise UndecidedError(node.lineno, what)
        for inner in ast.walk(node):
            if isinstance(inner, ast.Name) and isinstance(inner.ctx, (ast.Store, ast.Del)):
                self.bind(inner, Unknown(node.lineno, what, can_add=False), names)
            elif isinstance(inner, (ast.Import, ast.ImportFrom)):
                self._import(inner, names)
            elif isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                names[inner.name] = Unknown(inner.lineno, what)

    def _may_add(self, function: ast.expr, names: dict[str, Any]) -> bool:
        while isinstance(function, (ast.Attribute, ast.Call, ast.Subscript)):
            function = function.func if isinstance(function, ast.Call) else function.value
        value = names.get(function.id, self.names.get(function.id)) if isinstance(function, ast.Name) else None
        return isinstance(value, (Maker, Function)) or (isinstance(value, Unknown) and value.can_add)

    def _import(self, node: ast.Import | ast.ImportFrom, names: dict[str, Any]) -> None:
        is_from = isinstance(node, ast.ImportFrom)
        for alias in node.names:
            source = (node.module or "") if isinstance(node, ast.ImportFrom) else alias.name
            is_relative = isinstance(node, ast.ImportFrom) and node.level > 0
            top = source.partition(".")[0]
            name = alias.asname or (alias.name if is_from else top)
            if top == "yoyo" and not is_relative:
                if alias.name == "*":
                    names.update(_MAKERS)
                names[name] = _MAKERS.get(alias.name, Maker("yoyo")) if is_from else Maker("yoyo")
                continue
            path = (source, alias.name) if is_from else (source if alias.asname else top,)
            is_own = is_relative or top not in sys.stdlib_module_names
            names[name] = Unknown(node.lineno, f"{name}, which is imported", can_add=is_own, path=path)

    # --- calls -----------------------------------------------------------------------------------------------------

    def call(self, node: ast.Call, names: dict[str, Any]) -> Any:
        """What a call gives; raises UndecidedError where it may add steps that the text does not show."""
        function = self.value(node.func, names)
        positional = list(self.elements(node.args, names))
        named: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.value(keyword.value, names)
            if keyword.arg is None and not isinstance(value, dict):
                raise UndecidedError(
                    node.lineno, f"arguments of {ast.unparse(node.func)[:40]}() that only Python can tell"
                )
            named |= value if keyword.arg is None else {keyword.arg: value}
        match function:
            case Maker(what="step" | "group"):
                nodes: dict[int | str, ast.expr] = {key.arg: key.value for key in node.keywords if key.arg}
                if not any(isinstance(argument, ast.Starred) for argument in node.args):
                    nodes |= dict(enumerate(node.args))
                call = Call(function.what, node.lineno, node.end_lineno or node.lineno, positional, named, nodes)
                self.calls.append(call)
                return call
            case Function():
                return self._run_function(node, function, positional, named)
            case Method(owner=owner, name=name):
                held = [part for value in (*positional, *named.values()) for part in parts(value)]
                if isinstance(owner, str) and any(map(is_opaque, held)):
                    return opaque(node.lineno, *held)
                return getattr(owner, name)(*positional, **named)
            case Unknown():
                return self._call_of_unknown(node, function, positional, named)
        raise UndecidedError(node.lineno, f"{ast.unparse(node.func)[:40]}() is called, which only Python can run")

    def _call_of_unknown(self, node: ast.Call, function: Unknown, positional: list[Any], named: dict[str, Any]) -> Any:
        known = values.LIBRARY.get(function.path)
        if len(function.path) == 2 and function.path[0] == "builtins":
            known = values.BUILTINS.get(function.path[1])
        held = [part for value in (*positional, *named.values()) for part in parts(value)]
        if known and not (any(map(is_opaque, held)) if known in (str, repr) else any(map(is_opaque, positional))):
            result = known(*positional, **named)
            return result if isinstance(result, values.PLAIN) else list(self.items(node, result))
        if function.can_add:
            raise UndecidedError(node.lineno, f"{ast.unparse(node.func)[:40]}() is called, which only Python can run")
        return Unknown(node.lineno, f"{ast.unparse(node.func)[:60]}()", can_add=False)

    def _run_function(self, node: ast.Call, function: Function, positional: list[Any], named: dict[str, Any]) -> Any:
        """What a function of the file gives, its statements read as the module's are."""
        inner, wanted = function.node, function.node.args
        given = [argument.arg for argument in (*wanted.posonlyargs, *wanted.args)]
        known = {*given, *(argument.arg for argument in wanted.kwonlyargs)}
        simple = not (wanted.vararg or wanted.kwarg) and len(positional) <= len(given) and named.keys() <= known
        if not simple or any(isinstance(part, (ast.Yield, ast.YieldFrom, ast.Global)) for part in ast.walk(inner)):
            raise UndecidedError(node.lineno, f"{function.what} is called, which only Python can run")
        defaults = [self.value(default, self.names) for default in wanted.defaults]
        names = dict(zip(given[len(given) - len(defaults) :], defaults, strict=True))
        for argument, default in zip(wanted.kwonlyargs, wanted.kw_defaults, strict=True):
            if default is not None:
                names[argument.arg] = self.value(default, self.names)
        names |= dict(zip(given, positional, strict=False)) | named
        if self._calls >= values.MOST_CALLS:
            raise UndecidedError(node.lineno, f"{function.what} calls itself too often")
        self._calls += 1
        try:
            if isinstance(inner, ast.Lambda):
                return self.value(inner.body, names)
            self._block(inner.body, names)
        except _ReturnError as end:
            return end.value
        finally:
            self._calls -= 1
        return None
