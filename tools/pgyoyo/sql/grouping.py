"""Which values of a statement have to stay the same: those of an expression that GROUP BY or DISTINCT repeats."""

from collections.abc import Iterator

from pgyoyo.sql import tree
from pgyoyo.sql.tree import Node

Key = int | str  # a value by the byte where it stands, a parameter as $1

_VALUES = frozenset(("A_Const", "ParamRef"))
_LOOSE = _VALUES | {"ColumnRef"}


def alike(statement: Node) -> dict[Key, Key]:
    """For the values and parameters of repeated expressions: which one stands for it.

    pg_stat_statements gives each value a number of its own, or leaves it in GROUP BY: where expressions differ in that only,
    the first ones belong together.
    """
    result: dict[Key, Key] = {}
    for select in (part for part in tree.walk(statement) if tree.kind(part) == "SelectStmt"):
        repeated = [*select.group_clause, *select.distinct_clause]
        if select.distinct_clause:
            repeated += [tree.unwrap(item).node for item in select.sort_clause]
        expressions = [node for item in repeated for node in _grouped(tree.unwrap(item)) if any(_leaves(node))]
        if not expressions:
            continue
        for clause in (select.target_list, select.sort_clause, [select.having_clause]):
            parts = [part for item in clause for part in tree.walk(item)]
            for expression in expressions:
                _match(expression, parts, result)
    return result


def _grouped(node: Node) -> Iterator[Node]:
    """The expressions of an item; a number alone is the place of a column."""
    if tree.kind(node) == "GroupingSet":
        for item in node.content:
            yield from _grouped(tree.unwrap(item))
    elif tree.kind(node) not in _VALUES and node is not None:
        yield node


def _match(expression: Node, parts: list[Node], result: dict[Key, Key]) -> None:
    likeness = _likeness(expression)
    mine = list(_leaves(expression))
    for part in parts:
        if tree.kind(part) != tree.kind(expression) or _likeness(part) != likeness:
            continue
        pairs = list(zip(mine, _leaves(part), strict=True))
        if all(_may_be_same(a, b, result) for a, b in pairs):
            for a, b in pairs:
                first, second = result.get(_key(a), _key(a)), _key(b)
                if first != second:
                    result[second] = first
            if any(tree.kind(value) == "ParamRef" for pair in pairs for value in pair):
                return  # the next one that looks like this belongs to another expression


def _likeness(node: Node) -> object:
    """Equal for expressions that differ in values, and in whether columns are qualified."""
    columns = [column[1] for part in tree.walk(node) if (column := tree.column(part))]
    return tree.shape(node, any_of=_LOOSE), columns


def _may_be_same(a: Node, b: Node, result: dict[Key, Key]) -> bool:
    if tree.kind(a) == tree.kind(b) == "A_Const":
        return bool(tree.shape(a) == tree.shape(b))
    return _key(a) == _key(b) or _key(b) not in result


def _leaves(node: Node) -> Iterator[Node]:
    return (part for part in tree.walk(node) if tree.kind(part) in _VALUES)


def _key(leaf: Node) -> Key:
    return f"${leaf.number}" if tree.kind(leaf) == "ParamRef" else int(leaf.location)
