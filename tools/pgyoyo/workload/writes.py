"""Which columns an application's INSERT leaves out though they have to have a value."""

from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import Connection, sql

from pgyoyo.sql import tree

# The columns of a table in their order: whether each has to be given, and whether a trigger may set it before.
_COLUMNS = """\
SELECT a.attname::pg_catalog.text,
       (a.attnotnull OR t.typnotnull) AND NOT a.atthasdef AND a.attidentity OPERATOR(pg_catalog.=) ''
           AND t.typdefault IS NULL,
       EXISTS (
           SELECT FROM pg_catalog.pg_trigger AS g
           WHERE g.tgrelid OPERATOR(pg_catalog.=) a.attrelid AND NOT g.tgisinternal
             AND (g.tgtype::pg_catalog.int4 OPERATOR(pg_catalog.&) 7) OPERATOR(pg_catalog.=) 7)
FROM pg_catalog.pg_attribute AS a JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
WHERE a.attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%s)::pg_catalog.oid
  AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped ORDER BY a.attnum
"""


@dataclass(frozen=True, slots=True)
class Missing:
    """The columns that must have a value and are not named; `uncertain` where a trigger may set them."""

    columns: frozenset[str] = frozenset()
    uncertain: bool = False


@dataclass(frozen=True, slots=True)
class _Insert:
    """The table of an INSERT, quoted, and its columns where it names them.

    `given` is whether each place of its VALUES has a value in all rows; None where they come from a query.
    """

    table: str
    names: tuple[str, ...]
    given: tuple[bool, ...] | None


def missing(conn: Connection, texts: Sequence[str]) -> list[Missing]:
    """What each statement leaves out as the schema is now; nothing where it has no INSERT. Reads only, a query a table."""
    inserts = [_inserts(text) for text in texts]
    tables = sorted({insert.table for of_text in inserts for insert in of_text})
    columns = {table: conn.execute(_COLUMNS, [table]).fetchall() for table in tables}
    return [_together([_missing(insert, columns[insert.table]) for insert in of_text]) for of_text in inserts]


def _together(parts: Sequence[Missing]) -> Missing:
    lacking = [part for part in parts if part.columns]
    columns = frozenset(name for part in lacking for name in part.columns)
    return Missing(columns, bool(lacking) and all(part.uncertain for part in lacking))


def _missing(insert: _Insert, columns: Sequence[tuple[str, bool, bool]]) -> Missing:
    names = insert.names or tuple(name for name, _, _ in columns)
    given = (
        names
        if insert.given is None
        else [name for name, is_given in zip(names, insert.given, strict=False) if is_given]
    )
    left = frozenset(name for name, required, _ in columns if required and name not in given)
    return Missing(left, any(triggered for _, _, triggered in columns))


def _inserts(text: str) -> list[_Insert]:
    """The INSERTs of a statement, those in its WITH included."""
    node, error = tree.parse_or_error(text)
    nodes = () if error or node is None else tree.walk(node)
    return [_insert(each) for each in nodes if tree.kind(each) == "InsertStmt"]


def _insert(node: tree.Node) -> _Insert:
    parts = [part for part in (node.relation.schemaname, node.relation.relname) if part]
    names = tuple(tree.unwrap(column).name for column in node.cols)
    return _Insert(sql.Identifier(*parts).as_string(), names, _given(node))


def _given(node: tree.Node) -> tuple[bool, ...] | None:
    if not node.HasField("select_stmt"):
        return ()  # DEFAULT VALUES
    rows = [map(tree.unwrap, tree.unwrap(row).items) for row in tree.unwrap(node.select_stmt).values_lists]
    return tuple(all(map(_is_value, place)) for place in zip(*rows, strict=False)) if rows else None


def _is_value(node: tree.Node) -> bool:
    """Whether it is neither DEFAULT nor NULL."""
    return not (tree.kind(node) == "SetToDefault" or (tree.kind(node) == "A_Const" and node.isnull))
