"""PostgreSQL's parse tree of a statement."""

import json
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from google.protobuf.message import DecodeError
from postgast import PgQueryError, deparse, parse_plpgsql, scan
from postgast import fingerprint as fingerprint_of
from postgast import parse as parse_tree
from postgast.pg_query_pb2 import AND_EXPR, C_COMMENT, IS_NULL, OBJECT_ROLE, OBJECT_SUBSCRIPTION, SQL_COMMENT

COMMENTS = frozenset((SQL_COMMENT, C_COMMENT))
# Where a node stands in the text, which is not part of its meaning.
_PLACES = frozenset(("location", "rexpr_list_start", "rexpr_list_end", "list_start", "list_end", "stmt_len"))
# In a longer one, libpg_query's walk through a deep expression can overrun the stack (see parser.py).
LONGEST = 1 << 16

_CLOSED_TWICE = re.compile(r"(?<=[,\[])\{\}\}(?=,)")

Node = Any  # a protobuf message of postgast.pg_query_pb2, which has no usable annotations


def parse(text: str) -> Node | None:
    """The tree of a statement, its outer wrapping removed; None where it can't be read, or is too long or too deep."""
    if len(text) > LONGEST:
        return None
    try:
        return unwrap(parse_tree(text).stmts[0].stmt)
    except (PgQueryError, DecodeError, IndexError):
        return None


def parse_or_error(text: str) -> tuple[Node | None, tuple[int, str] | None]:
    """The tree of a text with a single statement, or the parser's error: an offset in characters, and its words."""
    try:
        statements = parse_tree(text).stmts
    except (PgQueryError, DecodeError) as error:
        place = getattr(error, "cursorpos", 0)
        return None, (max(place - 1, 0), str(error))
    return unwrap(statements[0].stmt) if statements else None, None


def parse_body(text: str) -> list[dict[str, Any]]:
    """The tree of the PL/pgSQL body of a DO or CREATE FUNCTION, as libpg_query's JSON; empty where it can't be read."""
    try:
        body: list[dict[str, Any]] = parse_plpgsql(text)
    except json.JSONDecodeError as error:
        # Of a trigger's function libpg_query closes the variables TG_… twice.
        try:
            body = json.loads(_CLOSED_TWICE.sub("{}", error.doc))
        except ValueError:
            return []
    except (PgQueryError, ValueError):
        return []
    return body


def fingerprint(text: str) -> str | None:
    """The same for statements that differ in their constants only, and for all DO blocks; None where it can't be read."""
    if len(text) > LONGEST:
        return None
    try:
        return str(fingerprint_of(text).hex)
    except PgQueryError:
        return None


def tokens(text: str) -> list[Any]:
    """The tokens of a text, without its comments, each with its kind and the bytes where it stands; raises PgQueryError."""
    return [token for token in scan(text).tokens if token.token not in COMMENTS]


def unwrap(node: Node) -> Node:
    """What a Node of the tree holds, or None where it holds nothing."""
    kind = node.WhichOneof("node")
    return getattr(node, kind) if kind else None


def kind(node: Node) -> str:
    """The node's type, as ColumnRef."""
    return str(node.DESCRIPTOR.name) if node is not None else ""


def renames_role(statement: Node) -> bool:
    """Whether a RenameStmt is ALTER ROLE … RENAME."""
    return bool(statement.rename_type == OBJECT_ROLE)


def is_about_subscription(statement: Node) -> bool:
    """Whether a COMMENT, an ALTER … OWNER TO or an ALTER … RENAME is about a subscription."""
    field = {"CommentStmt": "objtype", "AlterOwnerStmt": "object_type", "RenameStmt": "rename_type"}[kind(statement)]
    return bool(getattr(statement, field) == OBJECT_SUBSCRIPTION)


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, wrappings left out."""
    if kind(node) != "Node":
        yield node
    for field, value in node.ListFields():
        if field.message_type is not None:
            for below in value if isinstance(value, Iterable) else (value,):
                yield from walk(below)


def body_parts(body: Any) -> Iterator[tuple[str, Any]]:
    """Every entry of what parse_body gives, outer ones first: its name, such as PLpgSQL_stmt_loop, and what it holds."""
    if isinstance(body, dict):
        for name, value in body.items():
            yield name, value
            yield from body_parts(value)
    elif isinstance(body, list):
        for value in body:
            yield from body_parts(value)


def shape(node: Node, any_of: Collection[str] = ()) -> object:
    """The node without its places in the text: equal for the same words elsewhere; nodes of some kinds are all the same."""
    if not hasattr(node, "ListFields"):
        listed = isinstance(node, Iterable) and not isinstance(node, str | bytes)
        return [shape(item, any_of) for item in node] if listed else node
    if kind(node) == "Node":
        return shape(unwrap(node), any_of)
    if kind(node) in any_of:
        return ()
    return (kind(node), [(f.name, shape(value, any_of)) for f, value in node.ListFields() if f.name not in _PLACES])


def conjuncts(node: Node) -> list[Node]:
    """The parts of a condition that AND joins, unwrapped; the parser keeps nested ANDs as a single list."""
    condition = unwrap(node)
    if kind(condition) == "BoolExpr" and condition.boolop == AND_EXPR:
        return [unwrap(part) for part in condition.args]
    return [condition] if condition is not None else []


def column(node: Node) -> tuple[tuple[str, ...], str] | None:
    """Qualifier and name of a column reference; None for anything else, t.* too."""
    if kind(node) != "ColumnRef":
        return None
    parts = [unwrap(field) for field in node.fields]
    if any(kind(part) != "String" for part in parts):
        return None
    *qualifier, name = [part.sval for part in parts]
    return tuple(qualifier), name


def null_column(condition: Node) -> str | None:
    """The column of which a condition says that it IS NULL; None for any other condition."""
    if kind(condition) != "NullTest" or condition.nulltesttype != IS_NULL:
        return None
    reference = column(unwrap(condition.arg))
    return reference[1] if reference else None


def name(node: Node) -> str:
    """The last name of a function call or an operator, without its schema."""
    return str(unwrap((node.funcname if kind(node) == "FuncCall" else node.name)[-1]).sval)


def text(expression: Node) -> str:
    """An expression as SQL; raises PgQueryError for what the parser can't write."""
    wrapped = parse_tree("SELECT FROM t WHERE x")
    wrapped.stmts[0].stmt.select_stmt.where_clause.CopyFrom(expression)
    return deparse(wrapped).partition(" WHERE ")[2]


def text_if_writable(expression: Node) -> str:
    """An expression as SQL; empty for what the parser can't write."""
    try:
        return text(expression)
    except PgQueryError:
        return ""


def condition(text: str) -> Node | None:
    """The tree of an expression; None where it can't be read."""
    statement = parse(f"SELECT WHERE {text}")
    return statement.where_clause if statement is not None and statement.HasField("where_clause") else None
