"""The SQL commands in one statement: its own, and those that a DO block or a function written in it holds."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pgyoyo.sql import tree
from pgyoyo.sql.tree import Node

_LITERAL = re.compile(r"\s*(?:'(?P<plain>(?:[^']|'')*)'|\$(?P<tag>\w*)\$(?P<quoted>.*)\$(?P=tag)\$)\s*", re.DOTALL)


@lru_cache(maxsize=512)
def commands(sql: str) -> tuple[Node, ...]:
    """The trees of the statement's own command and of those in the body of its DO block, constant EXECUTE included.

    A body that can't be read, or that is not PL/pgSQL, gives none.
    """
    own = tree.parse(sql)
    if own is None:
        return ()
    if tree.kind(own) != "DoStmt":
        return (own,)
    return (own, *(node for text in texts_of(tree.parse_body(sql)) if (node := tree.parse(text)) is not None))


def calls(node: Node) -> Iterator[tuple[str, Node]]:
    """The functions that a command calls, without their schemas, and the nodes of the calls."""
    for part in tree.walk(node):
        if tree.kind(part) == "FuncCall":
            yield tree.name(part), part


def enum(node: Node, field: str) -> str:
    """The name of an enum's value in a tree: OBJECT_TABLE."""
    descriptor = node.DESCRIPTOR.fields_by_name[field]
    name: str = descriptor.enum_type.values_by_number[getattr(node, field)].name
    return name


def literal(node: Node) -> str | None:
    """The text of a constant; None for anything else."""
    value = tree.unwrap(node) if tree.kind(node) == "Node" else node
    if tree.kind(value) == "TypeCast":
        value = tree.unwrap(value.arg)
    if tree.kind(value) != "A_Const":
        return None
    kind = value.WhichOneof("val")
    return str(getattr(getattr(value, kind), kind)) if kind else ""


def settings(node: Node) -> Iterator[tuple[str, str]]:
    """The settings that a command makes, by SET or set_config, in lower case."""
    for part in tree.walk(node):
        if tree.kind(part) == "VariableSetStmt":
            yield part.name.lower(), " ".join(literal(arg) or "" for arg in part.args).lower()
    for name, call in calls(node):
        if name == "set_config" and len(call.args) >= 2:
            setting, value = (literal(arg) for arg in call.args[:2])
            yield (setting or "").lower(), (value or "").lower()


def texts_of(body: Any) -> Iterator[str]:
    """The SQL texts in the tree of a PL/pgSQL body."""
    for name, value in tree.body_parts(body):
        if name == "PLpgSQL_expr":
            text = value.get("query", "")
            yield text
            if match := _LITERAL.fullmatch(text):
                yield match["quoted"] if match["plain"] is None else match["plain"].replace("''", "'")
