"""The locks of a statement that can't run in a transaction, seen from a second session while it runs."""

from collections.abc import Sequence
from contextlib import ExitStack

import psycopg
from psycopg import Connection

from pgyoyo import connection, message, observation
from pgyoyo.message import Reply
from pgyoyo.queries import named

# In seconds; a statement that never waits for anything has ended by then, or does not mind who is in its way.
LONGEST_HOLD = 2.0


class Tracer:
    """Looks at what a session holds while its statement runs.

    Such a statement may be over before anybody can look. So other sessions hold locks on its tables, one each, of a kind
    that makes it stop where it takes its own, or at its first wait, until its locks were seen.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo

    def run(
        self, conn: Connection, text: bytes, copies: Sequence[memoryview], tables: Sequence[str], *, writes: bool
    ) -> tuple[Reply, frozenset[tuple[int, str]]]:
        """The reply to the statement, and the locks on relations that were seen, by OID and mode.

        `tables` are the bare names of the tables that it works on, or of indexes of theirs. Without any, one session holds
        all tables, and what comes after the first stop is seen by luck. `writes` lets it write until it stops: where it waits
        for writers after it took its own lock, or where only a strong lock matters.
        """
        seen: set[tuple[int, str]] = set()
        mode = "ROW EXCLUSIVE" if writes else "SHARE UPDATE EXCLUSIVE"
        with ExitStack() as stack:

            def session() -> Connection:
                return stack.enter_context(connection.connect(self._conninfo))

            watcher = session()
            found = [_tables(watcher, [name]) for name in tables] or [_tables(watcher)]
            holds = [(session(), those) for those in found if those]
            # Else the one that holds a table with its partitions is in the way of the one that is to hold a partition.
            only = "ONLY " if len(holds) > 1 else ""
            in_the_way = {other.info.backend_pid: other for other, those in holds if _hold(other, those, only, mode)}

            def look(elapsed: float) -> None:
                found, _ = observation.waiting(watcher, conn.info.backend_pid)
                seen.update(found)
                for pid in _blocking(watcher, conn) if elapsed < LONGEST_HOLD else list(in_the_way):
                    if pid in in_the_way:
                        in_the_way.pop(pid).execute("ROLLBACK")

            reply = message.send(conn, text, copies, tick=look)
            for other in in_the_way.values():  # a session that is closed may hold its locks for a moment
                other.execute("ROLLBACK")
        return reply, frozenset(seen)


def _tables(watcher: Connection, names: list[str] | None = None) -> list[tuple[str, str]]:
    """Tables as the server quotes them, and their kinds: those of these names or with indexes of these names, or all."""
    return watcher.execute(named("rehearsal.sql")["tables_of"], {"names": names}).fetchall()


def _blocking(watcher: Connection, conn: Connection) -> list[int]:
    """The sessions that another one waits for."""
    row = watcher.execute("SELECT pg_blocking_pids(%s)", [conn.info.backend_pid]).fetchone()
    return row[0] if row else []


def _hold(other: Connection, tables: Sequence[tuple[str, str]], only: str, mode: str) -> bool:
    """Whether the tables could be locked."""
    try:
        other.execute(f"SET lock_timeout = '{LONGEST_HOLD}s'".encode())  # for an autovacuum that is at work
        other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        for name, kind in tables:  # the server quoted the names (regclass)
            if kind == "m":
                # LOCK TABLE refuses one. But its new index waits for older snapshots, and a DROP for its readers.
                other.execute(f"EXPLAIN SELECT FROM {name}".encode())
            else:
                other.execute(f"LOCK TABLE {only}{name} IN {mode} MODE".encode())
    except psycopg.Error:
        if not other.closed:
            other.execute("ROLLBACK")
        return False
    return True
