"""The sessions of a run over a fleet: those at work, those that look, and those that serve one member after the other."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg

from pgyoyo.engine import connection
from pgyoyo.engine.message import SESSION
from pgyoyo.errors import ConnectError
from pgyoyo.fleet.definition import SESSIONS

if TYPE_CHECKING:
    from pgyoyo.fleet.members import Member
    from pgyoyo.migrations.migration import Migration
    from pgyoyo.migrator import Migrator

# What a file may leave in a session that DISCARD ALL does not take away, or what asks for the path that the session began
# with. EXECUTE may hide any of them.
_KEPT = re.compile(
    rb"(?i)search_path|schema|reset|discard|set_config|function|procedure|extension|language|u&|execute|\bload\s"
    rb"|dblink|\bset(?:\s+session)?\s*seed\b"
)
# A procedural language keeps the types that a function read, for as long as the session lasts; C and internal do not.
_HAS_FUNCTIONS = """
SELECT EXISTS (SELECT FROM pg_catalog.pg_proc AS p WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
               AND p.prolang OPERATOR(pg_catalog.<>) ALL (ARRAY[12, 13]::pg_catalog.oid[]))
"""
_MOVE = """
SELECT CASE WHEN pg_catalog.set_config('search_path', %s, false) IS NOT NULL THEN pg_catalog.current_schema() END
"""
_HERE = """
SELECT n.nspname FROM pg_catalog.pg_namespace AS n
WHERE n.nspname OPERATOR(pg_catalog.=) %s::pg_catalog.text AND pg_catalog.has_schema_privilege(n.oid, 'USAGE')
"""
# With what stands behind each file (message.RESET) it is all that DISCARD ALL does.
_BACK = "SELECT pg_catalog.pg_advisory_unlock_all(); RESET search_path"
_MEMBERS = 100  # that a session serves: it keeps what it knows of their tables in memory


# The limit of a database counts where all of them are in one. Neither it nor a role's holds for a superuser.
_FREE = """
WITH me AS (SELECT r.* FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) session_user)
SELECT least(
    pg_catalog.current_setting('max_connections')::pg_catalog.int4
        OPERATOR(pg_catalog.-) pg_catalog.current_setting('superuser_reserved_connections')::pg_catalog.int4
        OPERATOR(pg_catalog.-) coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::pg_catalog.int4
        OPERATOR(pg_catalog.-) pg_catalog.count(*),
    (SELECT d.datconnlimit FROM pg_catalog.pg_database AS d, me
     WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database() AND d.datconnlimit OPERATOR(pg_catalog.>=) 0
       AND %(one)s AND NOT me.rolsuper)
        OPERATOR(pg_catalog.-) pg_catalog.count(*)
            FILTER (WHERE a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()),
    (SELECT me.rolconnlimit FROM me WHERE NOT me.rolsuper AND me.rolconnlimit OPERATOR(pg_catalog.>=) 0)
        OPERATOR(pg_catalog.-) pg_catalog.count(*) FILTER (WHERE a.usename OPERATOR(pg_catalog.=) session_user)
) FROM pg_catalog.pg_stat_activity AS a WHERE a.datid IS NOT NULL
"""
_PATIENCE = 60.0  # seconds for a free connection
_PAUSE = 0.2
_POOLER = (
    "A pooler that takes no search_path with a connection can't serve schemas: give the address of the server itself."
)


class Sessions:
    """The sessions of a run."""

    def __init__(self, places: int = 8) -> None:
        self._most = places
        self._rooms: dict[str, int] = {}
        self._at_work: dict[int, Migrator] = {}
        self._lock = threading.Lock()
        self._idle: list[tuple[str, psycopg.Connection]] = []
        self._served: dict[int, int] = {}
        self._has_functions: dict[str, bool] = {}
        self._places: dict[str, threading.BoundedSemaphore] = {}
        # By database: the question reads its whole catalog, so that it is asked once and not by each schema.
        self.sees_messages: dict[str, bool] = {}
        # Set by a signal's handler, which must not wait for the lock.
        self.is_cancelled = False

    @contextmanager
    def at_work(self, migrator: Migrator) -> Iterator[None]:
        """The migrator can be cancelled meanwhile."""
        with self._lock:
            self._at_work[id(migrator)] = migrator
        try:
            yield
        finally:
            with self._lock:
                del self._at_work[id(migrator)]

    def cancel(self) -> None:
        """Cancel the statements that run; the server rolls back what was not committed."""
        with self._lock:
            migrators = list(self._at_work.values())
        for migrator in migrators:
            if not migrator.conn.closed:
                migrator.conn.cancel()

    @contextmanager
    def of(self, member: Member, wait: float, *, reuse: bool) -> Iterator[psycopg.Connection]:
        """A session of the member's own, or with `reuse` one that looked, or served others, before.

        It begins with the member's schema in its search_path; raises ConnectError for a schema that is not there.
        """
        if not reuse:
            with self._connect(member, member.conninfo, wait) as conn:
                if member.schema is not None:
                    _refuse_missing(conn.execute("SELECT pg_catalog.current_schema()"), member)
                yield conn
            return
        with self.looking(member, wait) as conn:
            try:
                _refuse_missing(conn.execute(_MOVE, [member.search_path]), member)
                conn.conninfo = member.conninfo  # type: ignore[attr-defined]  # connect() gives a Session
                yield conn
                if conn.closed:  # the run went on in a session of its own
                    return
                conn.execute(_BACK)
                conn.conninfo = member.plain  # type: ignore[attr-defined]
            except BaseException:
                conn.close()
                raise
            self._served[id(conn)] = self._served.get(id(conn), 0) + 1
            if self._served[id(conn)] >= _MEMBERS:
                del self._served[id(conn)]
                conn.close()

    def keeps_nothing(self, conn: psycopg.Connection, database: str) -> bool:
        """Whether the database has no functions that a session may keep something of; asked once."""
        if database not in self._has_functions:
            [(has_functions,)] = conn.execute(_HAS_FUNCTIONS).fetchall()
            self._has_functions[database] = bool(has_functions)
        return not self._has_functions[database]

    @contextmanager
    def looking(self, member: Member, wait: float) -> Iterator[psycopg.Connection]:
        """A session with the member's database that reads the ledgers of its schemas; kept for the next look."""
        conninfo = member.plain
        if (conn := self._take(conninfo)) is None:
            conn = self._connect(member, conninfo, wait)
            conn.execute(SESSION.encode())  # it may be idle for long
            conn.is_prepared = True  # type: ignore[attr-defined]
        try:
            yield conn
        finally:
            if not conn.closed:
                with self._lock:
                    self._idle.append((conninfo, conn))

    def _take(self, conninfo: str) -> psycopg.Connection | None:
        """An idle session with the database; those with others are closed, since members come database by database."""
        with self._lock:
            idle, self._idle = self._idle, []
            own = [conn for text, conn in idle if text == conninfo and not conn.closed]
            self._idle = [(conninfo, conn) for conn in own[:-1]]
        for text, conn in idle:
            if text != conninfo:
                conn.close()
        # The last one knows the tables of the member that it has just looked at.
        return own[-1] if own else None

    def room(self, server: str) -> int:
        """How many members of a server may be visited at a time: one, until a connection tells how many it has left."""
        return self._rooms.get(server, 1)

    def _connect(self, member: Member, conninfo: str, wait: float) -> psycopg.Connection:
        """A new session; waits for up to a minute where there is no free connection just now."""
        if member.fault:
            raise ConnectError(member.fault)
        until = time.monotonic() + _PATIENCE
        try:
            while True:
                try:
                    conn = connection.connect(conninfo, wait=wait)
                    break
                except ConnectError as error:
                    if not connection.is_full(str(error)) or time.monotonic() >= until or self.is_cancelled:
                        raise
                    self.close()
                    time.sleep(_PAUSE)
        except ConnectError as error:
            self._rooms.setdefault(member.server, self._most)
            if "startup parameter" in str(error) and member.schema is not None:
                raise ConnectError(f"{error}\n{_POOLER}") from None
            raise
        if member.server not in self._rooms:
            self._rooms[member.server] = max(1, min(self._most, _free(conn, member) // (2 * SESSIONS)))
        return conn

    def place(self, server: str, places: int) -> threading.BoundedSemaphore:
        """The places of a server for backfills."""
        with self._lock:
            return self._places.setdefault(server, threading.BoundedSemaphore(places))

    def close(self) -> None:
        """Close the sessions that look, but for those that do so just now."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, conn in idle:
            conn.close()


def _refuse_missing(cursor: psycopg.Cursor, member: Member) -> None:
    """Raises ConnectError where the cursor's schema is not the member's: what runs would go into the next of the path."""
    if cursor.fetchone() != (member.schema,):
        raise ConnectError(
            f"the schema {member.schema} does not exist in {member.database}, or this role may not use it"
        )


def refuse_missing(conn: psycopg.Connection, member: Member) -> None:
    """Raises ConnectError for a schema that is not there, whatever the search_path."""
    _refuse_missing(conn.execute(_HERE, [member.schema]), member)


def _free(conn: psycopg.Connection, member: Member) -> int:
    """How many more connections the server has for this role and database."""
    [(free,)] = conn.execute(_FREE, {"one": member.schema is not None}).fetchall()
    return int(free)


def is_forgotten(migration: Migration) -> bool:
    """Whether a session that ran the file is as a new one after DISCARD ALL, and the file asks for no setting anew.

    A file that is not run in one transaction, in batches, or by Python is not.
    """
    file = migration.apply
    header = file.header
    return header.transactional and not header.backfill and not file.is_python and not _KEPT.search(file.data)
