"""The target as it is now, for a review: sizes and who is at work. It reads only."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from psycopg import Connection, errors

from pgyoyo.queries import named
from pgyoyo.review.sheet import Live

_QUERIES = Path(__file__).with_name("target.sql")


def tables(conn: Connection, names: Collection[str]) -> dict[str, Live]:
    """What is known of the tables of these names (as the server quotes them); those that are not there are left out.

    A table that is being altered is not waited for: nothing is known of its size then, nor of the others'.
    """
    query = named(_QUERIES)["tables"]
    wanted = sorted(names)
    try:
        rows = _read(conn, query, {"names": wanted})
    except errors.LockNotAvailable:
        return {}
    return {name: Live(*facts) for name, here, *facts in rows if here}


def activity(conn: Connection) -> tuple[float | None, float | None]:
    """The ages in seconds of the oldest transaction and of the longest running query, None where there is none.

    What the role may not see counts as nothing.
    """
    [(transaction, query)] = _read(conn, named(_QUERIES)["activity"], {})
    return transaction, query


def timezone(conn: Connection) -> str:
    """The TimeZone that a session of the target begins with."""
    [(name,)] = _read(conn, "SELECT current_setting('TimeZone')", {})
    return str(name)


def _read(conn: Connection, query: str, values: dict[str, list[str]]) -> list[tuple[Any, ...]]:
    with conn.transaction():
        conn.execute("SET TRANSACTION READ ONLY; SET LOCAL lock_timeout = '200ms'")
        return conn.execute(query, values).fetchall()
