"""The locks of a statement that can't run in a transaction, observed from a second session while it runs."""

from collections.abc import Sequence
from contextlib import ExitStack

import psycopg
from psycopg import Connection

from pgyoyo.engine import connection, wire
from pgyoyo.engine.wire import Reply
from pgyoyo.queries import named
from pgyoyo.review import observation

LONGEST_HOLD = 30.0  # seconds; then all holds end: the statement may wait for something that is not a lock
LOCK_TIMEOUT = "2s"  # enough to cancel an autovacuum
MOST_HOLDS = 16


class Tracer:
    """Observes the locks of a session while its statement runs.

    The statement may be over before its locks can be read. So holding sessions, one for each of its tables, lock these in a
    mode that makes the statement wait where it takes its own lock, or at its first wait, until its locks have been read.
    """

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo

    def run(
        self, conn: Connection, text: bytes, copies: Sequence[memoryview], tables: Sequence[str], *, writes: bool
    ) -> tuple[Reply, frozenset[tuple[int, str]]]:
        """The reply to the statement, and its locks on relations wherever it had to wait, by OID and mode.

        `tables` are the bare names of the tables that it works on, or of their indexes. Without any, all tables are held; if
        they have to share sessions, the first wait for each session is observed. `writes` holds the tables in a mode that
        the statement's writes pass: for one that waits for writers after taking its own lock, or whose strong locks alone
        matter.
        """
        observed: set[tuple[int, str]] = set()
        mode = "ROW EXCLUSIVE" if writes else "SHARE UPDATE EXCLUSIVE"
        with ExitStack() as stack:

            def session() -> Connection:
                return stack.enter_context(connection.connect(self._conninfo))

            watcher = session()
            every = [] if tables else _tables(watcher)
            groups = [_tables(watcher, [name]) for name in tables] or [every[n::MOST_HOLDS] for n in range(MOST_HOLDS)]
            holds = [(session(), group) for group in groups if group]
            # A session that locks a table with its partitions would block the one that is to lock a partition.
            only = "ONLY " if len(holds) > 1 else ""
            holding = {holder.info.backend_pid: holder for holder, group in holds if _hold(holder, group, only, mode)}

            def look(elapsed: float) -> None:
                # Only while it waits: between two waits the locks read would be chance, and two reviews would differ.
                blocking = holding.keys() & _blocking(watcher, conn)
                if blocking:
                    observed.update(observation.locks(watcher, conn.info.backend_pid))
                for pid in blocking if elapsed < LONGEST_HOLD else list(holding):
                    holding.pop(pid).execute("ROLLBACK")

            reply = wire.send(conn, text, copies, tick=look)
            for holder in holding.values():  # a closed session may keep its locks for a moment
                holder.execute("ROLLBACK")
        return reply, frozenset(observed)


def _tables(watcher: Connection, names: list[str] | None = None) -> list[tuple[str, str]]:
    """Tables as the server quotes them, with their kinds: those with these names, or with indexes of these names, or all."""
    return watcher.execute(named(observation.REHEARSAL)["tables_of"], {"names": names}).fetchall()


def _blocking(watcher: Connection, conn: Connection) -> list[int]:
    """The sessions that this one waits for."""
    row = watcher.execute("SELECT pg_catalog.pg_blocking_pids(%s::pg_catalog.int4)", [conn.info.backend_pid]).fetchone()
    return row[0] if row else []


def _hold(holder: Connection, tables: Sequence[tuple[str, str]], only: str, mode: str) -> bool:
    """Lock the tables; False if that was not possible."""
    try:
        holder.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'".encode())
        holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        for name, kind in tables:  # the server quoted the names (regclass)
            if kind == "m":
                # LOCK TABLE refuses it. But a new index on it waits for older snapshots, and a DROP for its readers.
                holder.execute(f"EXPLAIN SELECT FROM {name}".encode())
            else:
                holder.execute(f"LOCK TABLE {only}{name} IN {mode} MODE".encode())
    except psycopg.Error:
        if not holder.closed:
            holder.execute("ROLLBACK")
        return False
    return True
