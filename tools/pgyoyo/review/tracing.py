"""The locks of a statement that can't run in a transaction, seen from a second session while it runs."""

from collections.abc import Sequence
from contextlib import ExitStack

import psycopg
from psycopg import Connection

from pgyoyo.engine import connection, wire
from pgyoyo.engine.wire import Reply
from pgyoyo.queries import named
from pgyoyo.review import observation

LONGEST_HOLD = 30.0  # seconds; a statement that is in our way otherwise than by locks must end, too
LOCK_TIMEOUT = "2s"  # for an autovacuum that is at work
MOST_HOLDS = 16


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
        """The reply to the statement, and the locks on relations that it had wherever it was stopped, by OID and mode.

        `tables` are the bare names of the tables that it works on, or of indexes of theirs. Without any, all tables are held;
        where they have to share sessions, the first stop at each of these is seen. `writes` lets it write until it stops:
        where it waits for writers after it took its own lock, or where only a strong lock matters.
        """
        seen: set[tuple[int, str]] = set()
        mode = "ROW EXCLUSIVE" if writes else "SHARE UPDATE EXCLUSIVE"
        with ExitStack() as stack:

            def session() -> Connection:
                return stack.enter_context(connection.connect(self._conninfo))

            watcher = session()
            every = [] if tables else _tables(watcher)
            found = [_tables(watcher, [name]) for name in tables] or [every[n::MOST_HOLDS] for n in range(MOST_HOLDS)]
            holds = [(session(), those) for those in found if those]
            # Else the one that holds a table with its partitions is in the way of the one that is to hold a partition.
            only = "ONLY " if len(holds) > 1 else ""
            in_the_way = {other.info.backend_pid: other for other, those in holds if _hold(other, those, only, mode)}

            def look(elapsed: float) -> None:
                # Between two stops it would be luck what is seen, and two reviews of the same files differ.
                ours = in_the_way.keys() & _blocking(watcher, conn)
                if ours:
                    seen.update(observation.locks(watcher, conn.info.backend_pid))
                for pid in ours if elapsed < LONGEST_HOLD else list(in_the_way):
                    in_the_way.pop(pid).execute("ROLLBACK")

            reply = wire.send(conn, text, copies, tick=look)
            for other in in_the_way.values():  # a session that is closed may hold its locks for a moment
                other.execute("ROLLBACK")
        return reply, frozenset(seen)


def _tables(watcher: Connection, names: list[str] | None = None) -> list[tuple[str, str]]:
    """Tables as the server quotes them, and their kinds: those of these names or with indexes of these names, or all."""
    return watcher.execute(named(observation.REHEARSAL)["tables_of"], {"names": names}).fetchall()


def _blocking(watcher: Connection, conn: Connection) -> list[int]:
    """The sessions that another one waits for."""
    row = watcher.execute("SELECT pg_blocking_pids(%s)", [conn.info.backend_pid]).fetchone()
    return row[0] if row else []


def _hold(other: Connection, tables: Sequence[tuple[str, str]], only: str, mode: str) -> bool:
    """Whether the tables could be locked."""
    try:
        other.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'".encode())
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
