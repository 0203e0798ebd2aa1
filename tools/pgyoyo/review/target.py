"""The sizes of the target's tables and its activity now, read-only."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from psycopg import Connection, errors

from pgyoyo.engine import which_ledger
from pgyoyo.queries import named
from pgyoyo.review.sheet import LiveTable

_QUERIES = Path(__file__).with_name("target.sql")


def tables(
    conn: Connection,
    names: Collection[str] | None = None,
    *,
    schemas: Collection[str] | None = None,
    activity: bool = True,
) -> dict[str, LiveTable]:
    """The tables with these names, as the server quotes them, without names of no table; or all, without their activity.

    `schemas`, as they are, leaves out those of others. Read-only. No schema change is waited for: where one locks a table,
    the sizes are those of the last VACUUM.
    """
    query = named(_QUERIES)["tables"]
    values = {
        "names": None if names is None else sorted(names),
        "schemas": None if schemas is None else sorted(schemas),
        "activity": activity and names is not None,
        "ledger": which_ledger.table_of(conn),
    }
    try:
        rows = _read(conn, query, values | {"exact": True})
    except errors.LockNotAvailable:
        rows = _read(conn, query, values | {"exact": False})
    return {name: LiveTable(*facts) for name, *facts in rows}


def activity(conn: Connection) -> tuple[float | None, float | None]:
    """The ages in seconds of the oldest transaction and of the longest running query; None without any. Read-only.

    Sessions that the role may not see don't count.
    """
    [(transaction, query)] = _read(conn, named(_QUERIES)["activity"], {})
    return transaction, query


def _read(conn: Connection, query: str, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    with conn.transaction():
        conn.execute(
            "SET TRANSACTION READ ONLY; SET LOCAL lock_timeout = '200ms'; SET LOCAL search_path = pg_catalog, pg_temp"
        )
        return conn.execute(query, values).fetchall()
