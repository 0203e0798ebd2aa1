"""A batch loop written by hand in PL/pgSQL (LOOP, LIMIT 1000, COMMIT), and the plain statement that does the same."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from postgast import PgQueryError, deparse
from postgast import pg_query_pb2 as pb

from pgyoyo.identifiers import quoted
from pgyoyo.sql import tree
from pgyoyo.sql.tree import Node

_LOOPS = tuple(f"PLpgSQL_stmt_{kind}" for kind in ("loop", "while", "fori", "fors", "forc", "dynfors", "foreach_a"))
# Stands for a value that is known only when it runs.
_UNKNOWN = "$9"
_VERBS = {"UpdateStmt": "UPDATE", "DeleteStmt": "DELETE", "InsertStmt": "INSERT"}


class HandLoop(NamedTuple):
    """What such a loop does: UPDATE, DELETE or INSERT, its table, and the plain statement, empty where that can't be seen."""

    verb: str
    table: str
    plain: str


def hand_loop(text: str) -> HandLoop | None:
    """The first statement that a DO, a procedure or a function runs in a loop with COMMITs, a part of its rows at a time."""
    if "loop" not in text.lower() or "commit" not in text.lower():
        return None
    for loop in _within(tree.parse_body(text), _LOOPS):
        if not list(_within(loop, ("PLpgSQL_stmt_commit",))):
            continue
        for node in _statements(loop):
            plain = _plain(node)
            return HandLoop(_VERBS[tree.kind(node)], node.relation.relname, "" if "$" in plain else plain)
    return None


def executes_in_loop(text: str) -> bool:
    """Whether the body of a DO or CREATE FUNCTION runs EXECUTE for each row of a query."""
    if "loop" not in text.lower() or "execute" not in text.lower():
        return False
    body = tree.parse_body(text)
    loops = [*_within(body, ("PLpgSQL_stmt_fors", "PLpgSQL_stmt_forc", "PLpgSQL_stmt_dynfors"))]
    arrays = _within(body, ("PLpgSQL_stmt_foreach_a",))
    loops += [loop for loop in arrays if "select" in loop["expr"]["PLpgSQL_expr"]["query"].lower()]
    return any(True for loop in loops for _ in _within(loop, ("PLpgSQL_stmt_dynexecute",)))


def _statements(loop: Any) -> Iterator[Node]:
    """The statements that change rows, in the order of the loop: its own, those in a WITH, those of an EXECUTE."""
    for kind, each in tree.body_parts(loop):
        if kind == "PLpgSQL_stmt_execsql":
            node = tree.parse(each["sqlstmt"]["PLpgSQL_expr"]["query"])
        elif kind == "PLpgSQL_stmt_dynexecute":
            node = tree.parse(_composed(each["query"]["PLpgSQL_expr"]["query"]))
        else:
            continue
        if node is not None and tree.kind(node) == "SelectStmt":
            # WITH done AS (UPDATE … RETURNING …) SELECT count(*) INTO n FROM done
            node = next((part for part in tree.walk(node) if tree.kind(part) in _VERBS), None)
            if node is not None:
                node.ClearField(next(f.name for f in node.DESCRIPTOR.fields if f.name.startswith("returning")))
        if node is not None and tree.kind(node) in _VERBS:
            yield node


def _composed(expression: str) -> str:
    """The text of a literal, or of format() of one; empty for any other expression."""
    query = tree.parse(f"SELECT {expression}")
    if query is None or len(query.target_list) != 1:
        return ""
    value = tree.unwrap(tree.unwrap(query.target_list[0]).val)
    if tree.kind(value) != "FuncCall" or tree.name(value) != "format":
        return _constant(value) or ""
    text, *given = [_constant(tree.unwrap(arg)) for arg in value.args] or [None]
    taken = 0

    def part(spec: re.Match[str]) -> str:
        nonlocal taken
        if spec[2] == "%":
            return "%"
        taken = int(spec[1][:-1]) if spec[1] else taken + 1
        known = given[taken - 1] if 0 < taken <= len(given) else None
        if known is None:
            return _UNKNOWN
        return {"I": quoted(known), "L": "'" + known.replace("'", "''") + "'", "s": known}[spec[2]]

    return re.sub(r"%(\d+\$)?([%sIL])", part, text or "")


def _constant(node: Node) -> str | None:
    return node.sval.sval if tree.kind(node) == "A_Const" and node.HasField("sval") else None


def _within(body: Any, kinds: tuple[str, ...]) -> Iterator[Any]:
    """The statements of these kinds in a body, outer ones first."""
    return (value for name, value in tree.body_parts(body) if name in kinds)


def _plain(node: Node) -> str:
    """The statement for all rows at once: the condition of the query that takes some of them in place of its own part."""
    query = tree.unwrap(node.select_stmt) if tree.kind(node) == "InsertStmt" else node
    if any(tree.kind(part) in _VERBS for part in tree.walk(node) if part is not node):
        return ""  # it moves rows: WITH gone AS (DELETE … RETURNING …) INSERT …
    taken = [part for part in tree.walk(node) if tree.kind(part) == "SelectStmt" and part.HasField("limit_count")]
    if len({str(part) for part in taken}) != 1:
        return ""
    limited = taken[0]
    for name in ("limit_count", "limit_offset", "sort_clause", "locking_clause"):
        limited.ClearField(name)
    if limited is not query and tree.kind(node) != "InsertStmt":
        alias = node.relation.alias.aliasname or node.relation.relname
        own = [tree.unwrap(item) for item in limited.from_clause]
        if len(own) != 1 or tree.kind(own[0]) != "RangeVar" or own[0].relname != node.relation.relname:
            return ""
        inner = own[0].alias.aliasname
        kept = [
            part for part in _parts(node) if not any(below is limited for below in tree.walk(part)) and not _joins(part)
        ]
        where = [*kept, *_parts(limited)]
        for part in where:
            for below in tree.walk(part):
                named = tree.column(below)
                if named and inner and inner != alias and named[0] == (inner,):
                    del below.fields[0]
        node.ClearField("with_clause")
        node.ClearField("using_clause" if tree.kind(node) == "DeleteStmt" else "from_clause")
        _set_where(node, where)
    try:
        wrapped = pb.ParseResult()
        stmt = wrapped.stmts.add().stmt
        getattr(
            stmt,
            {"UpdateStmt": "update_stmt", "DeleteStmt": "delete_stmt", "InsertStmt": "insert_stmt"}[tree.kind(node)],
        ).CopyFrom(node)
        return deparse(wrapped)
    except (PgQueryError, ValueError):
        return ""


def _parts(node: Node) -> list[Node]:
    return tree.conjuncts(node.where_clause) if node.HasField("where_clause") else []


def _joins(part: Node) -> bool:
    """Whether it only joins the rows to those that a WITH has taken: t.id = batch.id."""
    if tree.kind(part) != "A_Expr" or tree.name(part) != "=":
        return False
    sides = [tree.column(tree.unwrap(side)) for side in (part.lexpr, part.rexpr)]
    return all(sides) and sides[0] != sides[1] and all(side[0] for side in sides if side)


def _set_where(node: Node, parts: list[Node]) -> None:
    copies = []
    for part in parts:
        copy = pb.Node()
        field = next(
            f.name for f in pb.Node.DESCRIPTOR.fields if f.message_type and f.message_type.name == part.DESCRIPTOR.name
        )
        getattr(copy, field).CopyFrom(part)
        copies.append(copy)
    node.ClearField("where_clause")
    if len(copies) == 1:
        node.where_clause.CopyFrom(copies[0])
    elif copies:
        node.where_clause.bool_expr.boolop = pb.AND_EXPR
        node.where_clause.bool_expr.args.extend(copies)
