"""What stands in the code that a statement runs: its DO block, and the functions that it may call."""

import re
from collections import Counter
from collections.abc import Collection

from psycopg import Connection

from pgyoyo.review.commands import commands, enum, literal, texts_of
from pgyoyo.review.constants import words
from pgyoyo.sql import tree
from pgyoyo.sql.intent import Intent
from pgyoyo.sql.tree import Node

_LOCKS_ROWS = re.compile(r"(?i)\bfor\s+(?:no\s+key\s+)?update\b|\bfor\s+(?:key\s+)?share\b")
_WRITING = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "LockingClause")
_TRUNCATES = re.compile(r"(?i)\btruncate\b")
_FEW = 100  # rows of a LIMIT that are few


def bodies(text: str, conn: Connection) -> list[str]:
    """The source texts of the functions that a statement may call, by their names, and of those that these may call.

    Functions of PostgreSQL itself are left out.
    """
    query = (
        "SELECT oid::pg_catalog.int8, prosrc FROM pg_catalog.pg_proc "
        "WHERE proname OPERATOR(pg_catalog.=) ANY (%s::pg_catalog.name[]) "
        "AND oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid"
    )
    known: dict[int, str] = {}
    asked: set[str] = set()
    while names := {word for source in (text, *known.values()) for word in words(source)} - asked:
        asked |= names
        known |= dict(conn.execute(query, [sorted(names)]).fetchall())
    return list(known.values())


def truncates(text: str, asks: Intent, conn: Connection) -> bool:
    """Whether a statement, or code that it runs, has a TRUNCATE."""
    if asks.any("truncate"):
        return True
    return asks.any("code", "select") and any(map(_TRUNCATES.search, (text, *bodies(text, conn))))


def locks_rows(text: str, asks: Intent, conn: Connection) -> bool:
    """Whether a statement, or code that it runs, locks rows that it reads: FOR UPDATE, FOR SHARE."""
    if asks.any("for update"):
        return True
    if not asks.any("code", "select"):
        return False
    query = (
        "SELECT statement FROM pg_catalog.pg_prepared_statements "
        "WHERE name OPERATOR(pg_catalog.=) ANY (%s::pg_catalog.text[])"
    )
    prepared = [sql for (sql,) in conn.execute(query, [sorted(words(text))])] if "execute" in text.lower() else []
    return any(map(_LOCKS_ROWS.search, (text, *prepared, *bodies(text, conn))))


def only_reads(text: str, conn: Connection) -> bool:
    """Whether a DO block changes no row and locks none: a guard, which counts and raises an error."""
    own = tree.parse(text)
    if own is None or tree.kind(own) != "DoStmt" or bodies(text, conn):
        return False
    body = tree.parse_body(text)
    for name, part in tree.body_parts(body):
        if name in ("PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors"):
            return False
        if name == "PLpgSQL_stmt_execsql" and tree.parse(part["sqlstmt"]["PLpgSQL_expr"]["query"]) is None:
            return False
    nodes = [node for each in texts_of(body) if (node := tree.parse(each)) is not None]
    kinds = {tree.kind(part) for node in nodes for part in tree.walk(node)}
    return bool(body) and all(tree.kind(node) == "SelectStmt" for node in nodes) and kinds.isdisjoint(_WRITING)


def peeked(text: str) -> Collection[str]:
    """The tables, by bare names, of which every query of a statement or DO block takes no more than the first rows there are.

    A small LIMIT, or EXISTS, without a condition, an order or a join: whatever the size, the first blocks are enough.
    """
    own = tree.parse(text)
    if own is None:
        return ()
    roots = [own]
    if tree.kind(own) == "DoStmt":
        texts = list(texts_of(tree.parse_body(text)))
        roots = [node for each in texts if (node := tree.parse(each) or tree.parse(f"SELECT {each}")) is not None]
    names: Counter[str] = Counter()
    first: Counter[str] = Counter()
    for part in (part for root in roots for part in tree.walk(root)):
        if tree.kind(part) == "RangeVar":
            names[part.relname] += 1
        elif tree.kind(part) == "SubLink" and enum(part, "sub_link_type") == "EXISTS_SUBLINK":
            query = tree.unwrap(part.subselect)
            first.update(() if query.HasField("limit_count") else _simple(query))
        elif tree.kind(part) == "SelectStmt" and _is_few(literal(part.limit_count)):
            first.update(_simple(part))
    return {name for name, count in names.items() if first[name] == count}


def _is_few(limit: str | None) -> bool:
    """Whether a LIMIT ends soon; that of NULL, an empty text here, is none."""
    return limit is not None and limit.isdecimal() and int(limit) <= _FEW


def _simple(query: Node) -> Collection[str]:
    """The table that a SELECT reads, where it is one, from its start, with no function, condition, group or order."""
    if len(query.from_clause) != 1 or query.HasField("where_clause") or query.HasField("having_clause"):
        return ()
    if query.group_clause or query.distinct_clause or query.sort_clause or query.window_clause:
        return ()
    # An aggregate reads all rows, also in EXISTS; OFFSET reads those that it leaves out.
    computes = any(tree.kind(below) == "FuncCall" for target in query.target_list for below in tree.walk(target))
    if computes or query.HasField("limit_offset"):
        return ()
    table = tree.unwrap(query.from_clause[0])
    return (table.relname,) if tree.kind(table) == "RangeVar" else ()


def only_read(text: str, conn: Connection) -> Collection[str]:
    """The tables that a statement or DO block reads only in commands that lock no rows, by their bare names.

    None where a function that it may call locks rows: which tables that reads, its text does not say.
    """
    locking, others = set[str](), set[str]()
    if any(map(_LOCKS_ROWS.search, bodies(text, conn))):
        return ()
    for command in commands(text):
        parts = list(tree.walk(command))
        names = {part.relname for part in parts if tree.kind(part) == "RangeVar"}
        (locking if any(tree.kind(part) == "LockingClause" for part in parts) else others).update(names)
    return others - locking
