"""The text of a statement, cut where a condition is to be added."""

from collections.abc import Iterable
from typing import Any

from postgast import pg_query_pb2 as pb
from postgast import scan

from pgyoyo.sql import tree
from pgyoyo.sql.tree import Node


def cut_update(text: str, location: int) -> dict[str, Any]:
    """The author's text in its parts; `location` is the byte offset of the table's name."""
    data = text.encode()
    places: dict[str, tuple[int, int]] = {}
    before = 0
    for token in _at_the_top(text):
        for name, kind in (
            ("head", pb.UPDATE),
            ("set", pb.SET),
            ("from", pb.FROM),
            ("where", pb.WHERE),
            ("is", pb.ASCII_61),
        ):
            if token.token != kind or (name != "head" and token.start <= location):
                continue
            if name in {"head", "set"} or ("set" in places and not (name == "from" and before == pb.DISTINCT)):
                places.setdefault(name, (token.start, token.end))
        before = token.token
    start, end = places["set"][0], places["where"][0]
    middle = places.get("from", (end, end))[0]
    return {
        "head": data[: places["head"][1]].decode(),
        "target": data[places["head"][1] : start].decode(),
        "assignments": data[start:middle].decode(),
        "from_clause": data[middle:end].decode(),
        "condition": data[places["where"][1] :].decode(),
        "value": data[places["is"][1] : middle].decode(),
    }


def cut_delete(text: str) -> dict[str, Any]:
    """The author's text in its parts."""
    data = text.encode()
    places: dict[str, tuple[int, int]] = {}
    for token in _at_the_top(text):
        for name, kind in (("from", pb.FROM), ("using", pb.USING), ("where", pb.WHERE)):
            if token.token == kind:
                places.setdefault(name, (token.start, token.end))
    end = places["where"][0]
    middle = places.get("using", (end, end))[0]
    return {
        "head": data[: places["from"][1]].decode(),
        "target": data[places["from"][1] : middle].decode(),
        "from_clause": data[middle:end].decode(),
        "condition": data[places["where"][1] :].decode(),
    }


def cut_insert(text: str, location: int) -> dict[str, Any]:
    """The text of an INSERT … SELECT in its parts; `location` is the byte offset of the name of the table that is walked.

    `listed` is what it selects, `before_table` what stands before the table in its FROM. Raises ValueError where the SELECT
    does not stand there by itself.
    """
    data = text.encode()
    places: dict[str, tuple[int, int]] = {}
    tokens = _at_the_top(text)
    before = 0
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        span = (token.start, token.end)
        if token.token == pb.SELECT:
            places.setdefault("select", span)
        if "select" in places and token.token in (pb.DISTINCT, pb.ALL) and before == pb.SELECT:
            places["select"] = span
        if "select" in places and token.token == pb.FROM and before != pb.DISTINCT:
            places.setdefault("from", span)
        if "from" in places and token.token == pb.WHERE:
            places.setdefault("where", span)
        if token.token == pb.ON and following is not None and following.token == pb.CONFLICT:
            places["conflict"] = span
        before = token.token
    if "from" not in places:
        raise ValueError(text)
    start, stop = name_at(text, location)
    conflict = places.get("conflict", (len(data),))[0]
    end = places.get("where", (conflict,))[0]
    return {
        "head": data[:start].decode(),
        "target": data[start:stop].decode(),
        "from_clause": data[stop:end].decode(),
        "condition": data[places["where"][1] : conflict].decode() if "where" in places else "",
        "tail": data[conflict:].decode(),
        "listed": data[places["select"][1] : places["from"][0]].decode(),
        "before_table": data[places["from"][1] : start].decode(),
    }


def _at_the_top(text: str) -> list[Any]:
    """The tokens that stand in no parenthesis, comments left out."""
    tokens, depth = [], 0
    for token in scan(text).tokens:
        depth += {pb.ASCII_40: 1, pb.ASCII_91: 1, pb.ASCII_41: -1, pb.ASCII_93: -1}.get(token.token, 0)
        if depth == 0 and token.token not in tree.COMMENTS:
            tokens.append(token)
    return tokens


def name_at(text: str, location: int) -> tuple[int, int]:
    """The bytes of a table's name in a FROM, with its ONLY, or the * behind it."""
    tokens = tree.tokens(text)
    index = next(number for number, token in enumerate(tokens) if token.start == location)
    start, last = location, index
    while last + 2 < len(tokens) and tokens[last + 1].token == pb.ASCII_46:
        last += 2
    if tokens[index - 1].token == pb.ONLY:
        start = tokens[index - 1].start
    if last + 1 < len(tokens) and tokens[last + 1].token == pb.ASCII_42:
        last += 1
    return start, tokens[last].end


def qualifiers(text: str, node: Node, relname: str) -> tuple[tuple[int, int], ...]:
    """Where schemas stand before the table's name in references to its columns, s.t.c: byte ranges that may be left out."""
    spans = []
    tokens = tree.tokens(text)
    places = {token.start: index for index, token in enumerate(tokens)}
    for part in tree.walk(node):
        if tree.kind(part) != "ColumnRef":
            continue
        names = [tree.unwrap(name) for name in part.fields]
        more = len(names) - 2
        if more > 0 and tree.kind(names[more]) == "String" and names[more].sval == relname:
            spans.append((part.location, tokens[places[part.location] + 2 * more].start))
    return tuple(sorted(set(spans)))


def without(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """The text without these byte ranges."""
    data, kept, end = text.encode(), b"", 0
    for start, after in spans:
        kept, end = kept + data[end:start], after
    return (kept + data[end:]).decode()


def only_added(old: Node, new: Node, *, moved: str, more: bool) -> bool:
    """Whether new is old with a condition on ctid, direct or by a subquery that has old's own conditions too.

    `moved`: another table has this alias in it; `more`: it also asks that the new value is not NULL.
    """
    if tree.kind(old) != tree.kind(new):
        return False
    first, second = _query(old), _query(new)
    given = _shapes(tree.conjuncts(first.where_clause) or tree.conjuncts(tree.condition("true")))
    conditions = tree.conjuncts(second.where_clause)
    if tree.kind(conditions[-1]) == "A_Expr" and tree.kind(rows := tree.unwrap(conditions[-1].rexpr)) == "SubLink":
        rows = tree.unwrap(rows.subselect)
        if _shapes(conditions[:-1]) != given:
            return False
        sources = [
            new.relation,
            *map(tree.unwrap, new.using_clause if tree.kind(new) == "DeleteStmt" else new.from_clause),
        ]
        if _shapes(map(tree.unwrap, rows.from_clause)) != _shapes(sources):
            return False
        conditions = tree.conjuncts(rows.where_clause)
    if len(conditions) != len(given) + 1 + more or _shapes(conditions[: len(given)]) != given:
        return False
    for statement, query in ((old, first), (new, second)):
        query.ClearField("where_clause")
        for part in tree.walk(statement) if moved else ():
            if tree.kind(part) == "RangeVar" and (part.alias.aliasname or part.relname) == moved:
                part.Clear()
    return tree.shape(old) == tree.shape(new)


def _query(statement: Node) -> Node:
    """What has the WHERE of a statement."""
    return tree.unwrap(statement.select_stmt) if tree.kind(statement) == "InsertStmt" else statement


def _shapes(nodes: Iterable[Node]) -> list[object]:
    return [tree.shape(node) for node in nodes]
