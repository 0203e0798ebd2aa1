"""The tables that only the next release fills: no foreign key of theirs stops the one that is running."""

import re
from collections.abc import Iterable

from psycopg import Connection

from pgyoyo.workload import conditions
from pgyoyo.workload.guards import Guards

_WORD = re.compile(r"\w+")


def unused(conn: Connection, before: Guards, now: Guards, code: Iterable[str]) -> frozenset[int]:
    """The OIDs of the tables that are new and empty, and whose names are nowhere in `code`, which may fill them."""
    new = {
        table.oid: _WORD.findall(table.qualified.lower())[-1]
        for table in now.tables.values()
        if table.kind in ("r", "p") and before.counterpart(table) is None
    }
    if not new:
        return frozenset()
    words = {word for text in code for word in _WORD.findall(text.lower())}
    return frozenset(
        oid for oid, name in new.items() if name not in words and not conditions.has_rows(conn, now.tables[oid])
    )
