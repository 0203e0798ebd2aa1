"""The text of an UPDATE, cut where a condition is to be added."""

from collections.abc import Iterable

from postgast import pg_query_pb2 as pb
from postgast import scan

from pgyoyo.sql import tree
from pgyoyo.sql.tree import Node


def cut(text: str, location: int) -> dict[str, str]:
    """The author's text in its parts; `location` is the byte offset of the table's name."""
    data = text.encode()
    places: dict[str, tuple[int, int]] = {}
    depth, before = 0, 0
    for token in scan(text).tokens:
        depth += {pb.ASCII_40: 1, pb.ASCII_91: 1, pb.ASCII_41: -1, pb.ASCII_93: -1}.get(token.token, 0)
        span = (token.start, token.end)
        if depth == 0 and token.token in (pb.SQL_COMMENT, pb.C_COMMENT):
            continue
        if depth == 0 and token.token == pb.UPDATE:
            places.setdefault("update", span)
        if depth == 0 and token.token == pb.SET and token.start > location:
            places.setdefault("set", span)
        if depth == 0 and "set" in places and token.token == pb.FROM and before != pb.DISTINCT:
            places.setdefault("from", span)
        if depth == 0 and "set" in places and token.token == pb.WHERE:
            places.setdefault("where", span)
        if depth == 0 and "set" in places and token.token == pb.ASCII_61:
            places.setdefault("equals", span)
        before = token.token
    start, end = places["set"][0], places["where"][0]
    middle = places.get("from", (end, end))[0]
    return {
        "head": data[: places["update"][1]].decode(),
        "target": data[places["update"][1] : start].decode(),
        "assignments": data[start:middle].decode(),
        "from_clause": data[middle:end].decode(),
        "condition": data[places["where"][1] :].decode(),
        "value": data[places["equals"][1] : middle].decode(),
    }


def qualifiers(text: str, node: Node, relname: str) -> tuple[tuple[int, int], ...]:
    """Where schemas stand before the table's name in references to its columns, s.t.c: byte ranges that may be left out."""
    spans = []
    tokens = [token for token in scan(text).tokens if token.token not in (pb.SQL_COMMENT, pb.C_COMMENT)]
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


def only_added(old: Node, new: Node, *, moved: bool, more: bool) -> bool:
    """Whether new is old with a condition on ctid, direct or by a subquery that has old's own conditions too.

    `moved`: it names another table; `more`: it also asks that the new value is not NULL.
    """
    if tree.kind(old) != "UpdateStmt" or tree.kind(new) != "UpdateStmt":
        return False
    given = _shapes(tree.conjuncts(old.where_clause))
    conditions = tree.conjuncts(new.where_clause)
    if tree.kind(conditions[-1]) == "A_Expr" and tree.kind(rows := tree.unwrap(conditions[-1].rexpr)) == "SubLink":
        rows = tree.unwrap(rows.subselect)
        if _shapes(conditions[:-1]) != given:
            return False
        sources = [new.relation, *map(tree.unwrap, new.from_clause)]
        if _shapes(map(tree.unwrap, rows.from_clause)) != _shapes(sources):
            return False
        conditions = tree.conjuncts(rows.where_clause)
    if len(conditions) != len(given) + 1 + more or _shapes(conditions[: len(given)]) != given:
        return False
    for statement in (old, new):
        statement.ClearField("where_clause")
        if moved:
            statement.ClearField("relation")
    return tree.shape(old) == tree.shape(new)


def _shapes(nodes: Iterable[Node]) -> list[object]:
    return [tree.shape(node) for node in nodes]
