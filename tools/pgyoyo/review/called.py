"""What stands in the code that a statement runs: its DO block, and the functions that it may call."""

import re
from collections.abc import Collection

from psycopg import Connection

from pgyoyo.review.commands import commands
from pgyoyo.review.constants import words
from pgyoyo.sql import tree
from pgyoyo.sql.intent import Intent

_LOCKS_ROWS = re.compile(r"(?i)\bfor\s+(?:no\s+key\s+)?update\b|\bfor\s+(?:key\s+)?share\b")
_TRUNCATES = re.compile(r"(?i)\btruncate\b")


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
    return asks.any("code", "select") and any(map(_LOCKS_ROWS.search, (text, *bodies(text, conn))))


def only_read(text: str) -> Collection[str]:
    """The tables that a DO block reads only in commands that lock no rows, by their bare names."""
    locking, others = set[str](), set[str]()
    for command in commands(text):
        parts = list(tree.walk(command))
        names = {part.relname for part in parts if tree.kind(part) == "RangeVar"}
        (locking if any(tree.kind(part) == "LockingClause" for part in parts) else others).update(names)
    return others - locking
