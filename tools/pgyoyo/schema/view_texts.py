"""A view's text as servers before and since PostgreSQL 16 write it.

Before 16 each column stands with its table (ruleutils.c found two more entries in a view's range table); since then not in a
query from a single relation, but for those within it.
"""

import re
from collections.abc import Iterable, Iterator

from pgyoyo.catalog.snapshot import Snapshot
from pgyoyo.sql import tree

_KINDS = ("view", "materialized view")
_QUALIFIER = re.compile(rb'(?:"(?:[^"]|"")*"|[^".\s]+)\.')


def as_since_16(catalog: Snapshot) -> Snapshot:
    """The catalog of an older server, its views as a newer one would write them."""
    return {key: _unqualified(value) if key[0] in _KINDS else value for key, value in catalog.items()}


def _unqualified(definition: str) -> str:
    """A view's definition without the names before its columns, where a newer server leaves them out."""
    text, end, facts = definition.rpartition(";")
    query = tree.parse(text)
    if query is None or tree.kind(query) != "SelectStmt" or len(query.from_clause) != 1:
        return definition
    relation = tree.unwrap(query.from_clause[0])
    if tree.kind(relation) == "JoinExpr":
        return definition
    data = text.encode()
    for place in sorted(_places(query), reverse=True):
        if match := _QUALIFIER.match(data, place):
            data = data[:place] + data[match.end() :]
    return data.decode() + end + facts


def _places(query: tree.Node) -> Iterator[int]:
    """Where the columns with their table stand, those of queries within aside; bytes."""
    for field, value in query.ListFields():
        if field.message_type is None:
            continue
        for below in value if isinstance(value, Iterable) else (value,):
            node = tree.unwrap(below) if tree.kind(below) == "Node" else below
            if tree.kind(node) in ("SelectStmt", "") or tree.kind(node) == "WithClause":
                continue
            if (name := tree.column(node)) and len(name[0]) == 1:
                yield node.location
            yield from _places(node)
