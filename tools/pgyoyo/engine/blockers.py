"""Who is in the way of a session: a second session looks, in a thread of its own, so that nothing waits for it."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from pgyoyo.engine import connection
from pgyoyo.engine.failures import hide
from pgyoyo.errors import ConnectError
from pgyoyo.queries import named
from pgyoyo.units import lock_mode, time_words

_EVERY = 1.0  # seconds between two looks
_QUERIES = Path(__file__).with_name("blockers.sql")


class Blocker(NamedTuple):
    """A session that another one waits for; every fact may be unknown to a role without pg_monitor. `age` is in seconds."""

    pid: int
    kind: str | None
    application: str | None
    role: str | None
    state: str | None
    query: str | None
    age: float | None
    holds: str | None
    wants: str | None
    object: str | None

    def __str__(self) -> str:
        if self.kind and self.kind not in ("client backend", "parallel worker"):
            query = f" ({hide(self.query)})" if self.query else ""
            who = f"pid {self.pid} ({self.kind}{query})"
        else:
            facts = [self.application or "no application name", f"role {self.role or 'unknown'}"]
            if self.state:
                facts.append(self.state + (f" for {time_words(self.age * 1000)}" if self.age is not None else ""))
            who = f"pid {self.pid} ({', '.join(facts)})"
        what = f"holds {lock_mode(self.holds)}" if self.holds else "is ahead in the queue"
        running = f", running: {hide(self.query)}" if self.state == "active" and self.query else ""
        return f"{who} {what}{running}"


class Watcher:
    """Looks at who blocks a session, each second from the first long wait on; one second session for a whole run.

    A second session that can't be had is no reason to fail or to wait: then nobody is named.
    """

    def __init__(self) -> None:
        self._conninfo = ""
        self._watched: Connection | None = None
        self._pid = 0
        self._next = 0.0
        self._seen: Sequence[Blocker] = ()
        self._asked = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._busy_since: float | None = None

    def begin(self, conn: Connection) -> None:
        """Watch this session from now on; forgets whom it saw."""
        if conn is not self._watched:
            self._watched, self._pid = conn, connection.pid_of(conn)
            self._conninfo = make_conninfo(connection.again(conn.info), application_name="pgyoyo watch")
        self._seen, self._next = (), 0.0

    def look(self) -> None:
        """Ask for a look; at most one a second is taken, and it is not waited for."""
        if time.monotonic() < self._next or not self._conninfo:
            return
        self._next = time.monotonic() + _EVERY
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="pgyoyo watch", daemon=True)
            self._thread.start()
        self._asked.set()

    @property
    def seen(self) -> Sequence[Blocker]:
        """Who was in the way when last somebody was, since `begin`."""
        return self._seen

    def words(self, error: psycopg.Error, timeout: float) -> str:
        """Why a try failed, with who was in the way; `timeout` is its lock_timeout in milliseconds."""
        first = self._seen[0] if self._seen else None
        if isinstance(error, psycopg.errors.DeadlockDetected):
            what = "deadlock"
        else:
            wanted = f"get {lock_mode(first.wants)}" if first and first.wants else "get a lock"
            where = f" on {first.object}" if first and first.object else ""
            what = f"could not {wanted}{where} within {time_words(timeout)}"
        return f"{what}: " + ("; ".join(map(str, self._seen)) or "the blocking session had already finished")

    def close(self) -> None:
        """End the second session, if there is one; what gets no answer, as in a pool that is full, ends by itself later."""
        self._closed = True
        self._asked.set()
        if self._thread:
            since = self._busy_since
            self._thread.join(timeout=1.0 if since is None else max(0.0, since + 1.0 - time.monotonic()))

    def _run(self) -> None:
        conn: Connection | None = None
        next_login = 0.0
        while self._asked.wait() and not self._closed:
            self._asked.clear()
            if self._closed:  # since the wait; its sign may just have been cleared
                break
            self._busy_since = time.monotonic()
            try:
                if conn is None or conn.closed:
                    if self._busy_since < next_login:
                        continue
                    next_login = self._busy_since + _EVERY
                    conn = connection.connect(self._conninfo)
                rows = conn.execute(named(_QUERIES)["blockers"].encode(), {"pid": self._pid}).fetchall()
            except (psycopg.Error, ConnectError):
                continue
            finally:
                self._busy_since = None
            if rows:
                self._seen = [Blocker(*row) for row in rows]
        if conn is not None:
            conn.close()
