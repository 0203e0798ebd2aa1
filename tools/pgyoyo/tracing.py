"""The locks of a statement that can't run in a transaction, seen from a second session while it runs."""

from collections.abc import Sequence

import psycopg
from psycopg import Connection

from pgyoyo import connection, message, observation
from pgyoyo.message import Reply
from pgyoyo.queries import named

# In seconds; a statement that never waits for anything has ended by then, or does not mind who is in its way.
LONGEST_HOLD = 2.0


class Tracer:
    """Looks at what a session holds while its statement runs.

    Such a statement may be over before anybody can look. So a third session holds a lock on its table, of a kind that makes
    it stop at its first wait, until its locks were seen.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo

    def run(
        self, conn: Connection, text: bytes, copies: Sequence[memoryview], table: str | None, *, concurrently: bool
    ) -> tuple[Reply, frozenset[tuple[int, str]]]:
        """The reply to the statement, and the locks on relations that were seen, by OID and mode.

        `table` is the name of the table that it works on, or of an index of that table; `concurrently` says that it waits
        for writers after it took its own lock, else it is stopped before.
        """
        seen: set[tuple[int, str]] = set()
        with connection.connect(self._conninfo) as watcher, connection.connect(self._conninfo) as other:
            mode = "ROW EXCLUSIVE" if concurrently else "SHARE UPDATE EXCLUSIVE"
            in_the_way = table is not None and _hold(other, table, mode)

            def look(elapsed: float) -> None:
                nonlocal in_the_way
                found, waits = observation.waiting(watcher, conn.info.backend_pid)
                seen.update(found)
                if in_the_way and (waits or elapsed > LONGEST_HOLD):
                    other.execute("ROLLBACK")
                    in_the_way = False

            reply = message.send(conn, text, copies, tick=look)
        return reply, frozenset(seen)


def _hold(other: Connection, table: str, mode: str) -> bool:
    """Whether the table, or that of an index, could be locked; what has no table can't be stopped."""
    try:
        row = other.execute(named("rehearsal.sql")["table_of"], {"name": table}).fetchone()
        if row is None:
            return False
        other.execute("BEGIN")
        other.execute(f"LOCK TABLE {row[0]} IN {mode} MODE".encode())  # the server quoted it (regclass)
    except psycopg.Error:
        if not other.closed:
            other.execute("ROLLBACK")
        return False
    return True
