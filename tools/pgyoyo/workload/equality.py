"""Conditions that two columns are the same, or are not, whatever they hold."""

from dataclasses import dataclass, replace

from postgast.pg_query_pb2 import AEXPR_DISTINCT, AEXPR_NOT_DISTINCT, NOT_EXPR

from pgyoyo.sql import tree


@dataclass(frozen=True, slots=True)
class Equality:
    """Two columns, as qualifiers and name; `wanted`: IS NOT DISTINCT FROM, else that they differ."""

    wanted: bool
    left: tuple[tuple[str, ...], str]
    right: tuple[tuple[str, ...], str]


def equality_of(condition: tree.Node) -> Equality | None:
    """What a condition compares, casts left out; None where it is another kind of condition."""
    node: tree.Node = None
    if condition is not None:
        node = tree.unwrap(condition)
    if tree.kind(node) == "BoolExpr" and node.boolop == NOT_EXPR:
        inner = equality_of(node.args[0])
        return replace(inner, wanted=not inner.wanted) if inner else None
    if tree.kind(node) != "A_Expr" or node.kind not in (AEXPR_DISTINCT, AEXPR_NOT_DISTINCT):
        return None
    left, right = _without_cast(node.lexpr), _without_cast(node.rexpr)
    return Equality(node.kind == AEXPR_NOT_DISTINCT, left, right) if left and right else None


def _without_cast(expression: tree.Node) -> tuple[tuple[str, ...], str] | None:
    node = tree.unwrap(expression)
    while tree.kind(node) == "TypeCast":
        node = tree.unwrap(node.arg)
    return tree.column(node)
