"""Expressions of a Python file: constants, names and f-strings folded, other values Unknown."""

import ast
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pgyoyo.migrations.python import values
from pgyoyo.migrations.python.values import Function, Maker, Method, UndecidedError, Unknown, is_opaque, opaque, parts

_CONVERSIONS: dict[int, Callable[[Any], str]] = {ord("r"): repr, ord("s"): str, ord("a"): ascii}
_KINDS: dict[type[ast.expr], Callable[..., Any]] = {ast.Tuple: tuple, ast.List: list, ast.Set: set}


@dataclass(slots=True)
class Expressions:
    """Evaluates expressions; `names` are the module's own, `assigned` has the expression that each was last given as."""

    names: dict[str, Any] = field(default_factory=dict)
    assigned: dict[str, ast.expr] = field(default_factory=dict)
    _depth: int = 0
    _turns: int = 0
    _calls: int = 0

    def call(self, node: ast.Call, names: dict[str, Any]) -> Any:
        """What a call gives; raises UndecidedError where it may do what the text does not tell."""
        raise NotImplementedError

    def value(self, node: ast.expr, names: dict[str, Any]) -> Any:
        """The value of an expression where these names hold; Unknown where only Python could tell. Raises UndecidedError."""
        if self._depth > values.DEEPEST:
            raise UndecidedError(node.lineno, "what is nested too deep")
        self._depth += 1
        try:
            return self._value(node, names)
        except UndecidedError:
            raise
        except RecursionError:
            raise UndecidedError(node.lineno, "what is nested too deep") from None
        except Exception as error:  # noqa: BLE001 - as Python's own operation fails, when the file is run
            return Unknown(node.lineno, f"{ast.unparse(node)[:40]}, which fails ({error})", can_add=False)
        finally:
            self._depth -= 1

    def _value(self, node: ast.expr, names: dict[str, Any]) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                unknown = Unknown(node.lineno, name, can_add=False, path=("builtins", name))
                return names[name] if name in names else self.names.get(name, unknown)
            case ast.JoinedStr(values=pieces):
                return self._joined(node, pieces, names)
            case ast.BinOp(left=left, op=op, right=right):
                return self.binary(node, op, self.value(left, names), self.value(right, names))
            case ast.UnaryOp(op=op, operand=operand):
                value = self.value(operand, names)
                return opaque(node.lineno, value) if is_opaque(value) else values.UNARY[type(op)](value)
            case ast.BoolOp(op=op, values=operands):
                value = None
                for operand in operands:
                    value = self.value(operand, names)
                    if is_opaque(value) or bool(value) == isinstance(op, ast.Or):
                        break
                return value
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                first, second = self.value(left, names), self.value(right, names)
                if is_opaque(first) or is_opaque(second):
                    return opaque(node.lineno, first, second)
                return values.COMPARED[type(op)](first, second)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                decided = self.value(test, names)
                return (
                    opaque(node.lineno, decided)
                    if is_opaque(decided)
                    else self.value(body if decided else orelse, names)
                )
            case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
                return _KINDS[type(node)](self.elements(elements, names))
            case ast.Dict(keys=keys, values=held):
                result: dict[Any, Any] = {}
                for key, element in zip(keys, held, strict=True):
                    value = self.value(element, names)
                    result |= value if key is None else {self.value(key, names): value}
                return result
            case ast.ListComp(elt=element, generators=loops) | ast.GeneratorExp(elt=element, generators=loops):
                return [self.value(element, scope) for scope in self._scopes(node, loops, names)]
            case ast.SetComp(elt=element, generators=loops):
                return {self.value(element, scope) for scope in self._scopes(node, loops, names)}
            case ast.DictComp(key=key, value=element, generators=loops):
                return {self.value(key, s): self.value(element, s) for s in self._scopes(node, loops, names)}
            case ast.Subscript(value=owner, slice=key):
                held, index = self.value(owner, names), self.value(key, names)
                return opaque(node.lineno, held, index) if is_opaque(held) or is_opaque(index) else held[index]
            case ast.Slice(lower=lower, upper=upper, step=by):
                return slice(*(None if bound is None else self.value(bound, names) for bound in (lower, upper, by)))
            case ast.Attribute(value=owner, attr=name):
                return self._attribute(node, self.value(owner, names), name)
            case ast.Lambda():
                return Function(node.lineno, "a lambda", node)
            case ast.Call():
                return self.call(node, names)
        return Unknown(node.lineno, ast.unparse(node)[:40])

    def _joined(self, node: ast.expr, pieces: Sequence[ast.expr], names: dict[str, Any]) -> Any:
        texts: list[str] = []
        for piece in pieces:
            if not isinstance(piece, ast.FormattedValue):
                texts.append(str(self.value(piece, names)))
                continue
            value = self.value(piece.value, names)
            spec = "" if piece.format_spec is None else self.value(piece.format_spec, names)
            if any(map(is_opaque, (*parts(value), spec))) or not isinstance(value, values.PLAIN):
                return opaque(node.lineno, *parts(value), spec)
            convert = _CONVERSIONS.get(piece.conversion)
            texts.append(format(convert(value) if convert else value, spec))
        return "".join(texts)

    def binary(self, node: ast.expr | ast.stmt, op: ast.operator, left: Any, right: Any) -> Any:
        """What an operator makes of two values."""
        held = (*parts(left), *parts(right)) if isinstance(op, ast.Mod) else (left, right)
        if any(map(is_opaque, held)):
            return opaque(node.lineno, *held)
        if isinstance(op, ast.Mult):
            number, unit = (left, right) if isinstance(left, int) else (right, left)
            if not isinstance(unit, int) and number * len(unit) > values.LONGEST:
                raise UndecidedError(node.lineno, "a text of a size that no migration has")
        return values.BINARY[type(op)](left, right)

    def elements(self, nodes: Sequence[ast.expr], names: dict[str, Any]) -> Iterator[Any]:
        """The values of a list's elements, or of a call's arguments."""
        for node in nodes:
            if isinstance(node, ast.Starred):
                yield from self.items(node, self.value(node.value, names))
            else:
                yield self.value(node, names)

    def items(self, node: ast.expr | ast.stmt, value: Any) -> Iterator[Any]:
        """What a loop over the value gives; raises UndecidedError."""
        if is_opaque(value):
            raise UndecidedError(node.lineno, f"a loop over {value.what}")
        for item in value:
            self._turns += 1
            if self._turns > values.MOST_TURNS:
                raise UndecidedError(node.lineno, f"loops of more than {values.MOST_TURNS:,} turns")
            yield item

    def _scopes(
        self, node: ast.expr, loops: Sequence[ast.comprehension], names: dict[str, Any]
    ) -> Iterator[dict[str, Any]]:
        """The names of each turn of a comprehension."""
        if not loops:
            yield names
            return
        for item in self.items(node, self.value(loops[0].iter, names)):
            scope = {**names}
            self.bind(loops[0].target, item, scope)
            tests = [self.value(test, scope) for test in loops[0].ifs]
            if any(map(is_opaque, tests)):
                raise UndecidedError(node.lineno, "a condition that only Python can tell")
            if all(tests):
                yield from self._scopes(node, loops[1:], scope)

    def _attribute(self, node: ast.Attribute, owner: Any, name: str) -> Any:
        if isinstance(owner, Maker):
            return Maker({"step": "step", "group": "group", "transaction": "group"}.get(name, "yoyo"))
        if isinstance(owner, Unknown):
            return Unknown(node.lineno, ast.unparse(node)[:60], owner.can_add, (*owner.path, name))
        if name in values.METHODS.get(type(owner), ()):
            return Method(owner, name)
        return Unknown(node.lineno, ast.unparse(node)[:60], can_add=False)

    def bind(self, target: ast.expr, value: Any, names: dict[str, Any], source: ast.expr | None = None) -> None:
        """Give the target the value, which `source` says in the file."""
        match target:
            case ast.Name(id=name):
                names[name] = value
                if names is self.names:
                    self.assigned.pop(name, None)
                    if source is not None:
                        self.assigned[name] = source
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                fits = isinstance(value, (list, tuple)) and len(value) == len(targets)
                for i, part in enumerate(targets):
                    self.bind(part, value[i] if fits else opaque(target.lineno, value), names)
            case ast.Subscript(value=owner, slice=key):
                held, index = self.value(owner, names), self.value(key, names)
                if isinstance(held, (list, dict)) and not is_opaque(index):
                    with suppress(LookupError, TypeError):  # which Python would stop at
                        held[index] = value

    def origin(self, node: ast.expr | None) -> ast.expr | None:
        """The expression that a name stands for, where it was given one, else the expression itself."""
        while isinstance(node, ast.Name) and (source := self.assigned.get(node.id)) is not None and source is not node:
            node = source
        return node
