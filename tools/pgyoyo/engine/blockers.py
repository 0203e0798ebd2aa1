"""Who is in the way of a session: a second session looks, in a thread of its own, so that nothing waits for it."""

import re
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from pgyoyo.engine import connection
from pgyoyo.engine.failures import hide
from pgyoyo.engine.message import SESSION
from pgyoyo.errors import ConnectError
from pgyoyo.queries import named
from pgyoyo.units import lock_mode, time_words

_EVERY = 1.0  # seconds between two looks
# Characters; pg_stat_activity keeps 1,024 bytes of a query (track_activity_query_size).
_MOST = 800
# What a runner sends before it pauses: the query of an idle session that pg_stat_activity shows.
_PAUSE = re.compile(r"/\* pgyoyo pauses at \w*: (.*) \*/")
_QUERIES = Path(__file__).with_name("blockers.sql")


class Blocker(NamedTuple):
    """A session that another one waits for; every fact may be unknown to a role without pg_monitor. `age` is in seconds.

    A prepared transaction has the pid 0, and its name stands for the application's. `stays` is an autovacuum that no
    waiter cancels, since it is to prevent wraparound.
    """

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
    stays: bool = False

    @property
    def is_autovacuum(self) -> bool:
        """Whether it is an autovacuum, which PostgreSQL cancels for whoever has waited deadlock_timeout for it."""
        return self.kind == "autovacuum worker"

    @property
    def is_transaction(self) -> bool:
        """Whether its end is what is waited for, as CREATE INDEX CONCURRENTLY does, and not a lock on an object."""
        return self.object in ("virtualxid", "transactionid")

    @property
    def shown_query(self) -> str:
        """What it runs or ran last, without passwords; "" where that is not known."""
        return hide(self.query) if self.query else ""

    def __str__(self) -> str:
        age = f" for {time_words(self.age * 1000)}" if self.age is not None else ""
        if self.pid == 0:
            who = f'the prepared transaction "{self.application}" (role {self.role or "unknown"}, prepared{age})'
        elif self.kind and self.kind not in ("client backend", "parallel worker"):
            query = f" ({self.shown_query})" if self.query else ""
            wraparound = ", to prevent wraparound: it does not give way, so it has to end first" if self.stays else ""
            who = f"pid {self.pid} ({self.kind}{query}{wraparound})"
        else:
            facts = [self.application or "no application name", f"role {self.role or 'unknown'}"]
            if self.state:
                facts.append(self.state + age)
            who = f"pid {self.pid} ({', '.join(facts)})"
        is_client = not self.kind or self.kind == "client backend"
        running = f", running: {self.shown_query}" if is_client and self.state == "active" and self.query else ""
        if self.is_transaction:
            return who + running
        return f"{who} {f'holds {lock_mode(self.holds)}' if self.holds else 'is ahead in the queue'}{running}"


class Sight(NamedTuple):
    """What a look at a session saw: who is in its way just now, and the phase of a long statement with its share done."""

    blockers: tuple[Blocker, ...] = ()
    phase: str = ""

    def __str__(self) -> str:
        what = self.phase
        if self.blockers and not what:
            first = self.blockers[0]
            what = "waiting for an older transaction"
            if not first.is_transaction:
                what = f"waiting for {lock_mode(first.wants or 'a lock')} on {first.object or 'an object'}"
        return what + (f": {'; '.join(map(str, self.blockers))}" if self.blockers else "")


class AtWork(NamedTuple):
    """The session of a runner, as seen from another one; all but its pid may be unknown. `elapsed` is in seconds."""

    pid: int
    application: str | None
    role: str | None
    state: str | None
    query: str | None
    elapsed: float | None
    sight: Sight = Sight()

    @property
    def pauses(self) -> str:
        """Why it pauses between two tries, in its own words; "" if it does not."""
        pause = _PAUSE.match(self.query or "") if self.state == "idle" else None
        return pause[1] if pause else ""

    def __str__(self) -> str:
        who = f"pid {self.pid} ({self.application or 'no application name'}, role {self.role or 'unknown'})"
        if self.state == "active" and self.elapsed is not None:
            who += f", {time_words(self.elapsed * 1000)} in its present statement"
        elif self.state == "idle":
            who += ", between two tries" if self.pauses else ", between two statements"
        sight = str(self.sight)
        return f"{who}; {sight}" if sight else who


def look(conn: Connection, pid: int) -> Sight:
    """Who is in the way of the session `pid`, and what phase its statement is in."""
    values = {"pid": pid}
    rows = conn.execute(named(_QUERIES)["blockers"].encode(), values).fetchall()
    phases = conn.execute(named(_QUERIES)["phase"].encode(), values).fetchall()
    return Sight(tuple(Blocker(*row) for row in rows), _phase(*phases[0]) if phases else "")


def runner(conn: Connection, key: int) -> AtWork | None:
    """The runner that holds the advisory lock `key`, with what it waits for; None where there is none."""
    row = conn.execute(named(_QUERIES)["runner"].encode(), {"key": key}).fetchone()
    if row is None:
        return None
    at_work = AtWork(*row)
    return at_work._replace(sight=Sight(phase=at_work.pauses) if at_work.pauses else look(conn, row[0]))


def show_pause(conn: Connection, key: str, words: str) -> None:
    """Have `status` in another terminal show why this session does nothing for a while; `key` is the migration's hash.

    No failure matters.
    """
    text = words.replace("*/", "* /").replace("/*", "/ *")
    with suppress(psycopg.Error):
        # The file may have set any client_encoding.
        conn.execute(f"/* pgyoyo pauses at {key}: {text[:_MOST]} */".encode("ascii", "replace"))


def _phase(phase: str | None, done: int | None, total: int | None) -> str:
    if not phase or phase == "initializing":
        return ""
    if not total:
        return phase
    return f"{phase} ({done or 0} of {total})" if "waiting" in phase else f"{phase} ({(done or 0) / total:.0%})"


class Watcher:
    """Looks at who blocks a session, each second from the first long wait on; one second session for a whole run.

    A second session that can't be had is no reason to fail or to wait: then nobody is named. One that is not `enabled`
    never looks: on a scratch database nobody is in the way, and a second session would keep it from being copied.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self._enabled = enabled
        self._conninfo = ""
        self._watched: Connection | None = None
        self._pid = 0
        self._turn = 0
        self._looked = False
        self._next = 0.0
        self._seen: Sequence[Blocker] = ()
        self._sight = Sight()
        self._asked = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._busy_since: float | None = None

    def begin(self, conn: Connection, *, again: bool = False) -> None:
        """Watch this session from now on; forgets whom it saw. What waits `again` is looked at without delay."""
        self._turn += 1
        if self._enabled and conn is not self._watched:
            self.know(conn, connection.pid_of(conn))
        self._seen, self._sight, self._looked = (), Sight(), False
        if again:
            self._next = 0.0

    def know(self, conn: Connection, pid: int) -> None:
        """The server's process of a session that will be watched."""
        self._watched, self._pid = conn, pid

    def look(self) -> None:
        """Ask for a look; at most one a second is taken, and it is not waited for."""
        if time.monotonic() < self._next or not (self._enabled and self._watched):
            return
        self._next = time.monotonic() + _EVERY
        # Not before it is needed: for each of a thousand short runs it would take longer than its file does.
        self._conninfo = make_conninfo(connection.again(self._watched.info), application_name="pgyoyo watch")
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="pgyoyo watch", daemon=True)
            self._thread.start()
        self._asked.set()

    @property
    def seen(self) -> Sequence[Blocker]:
        """Who was in the way when last somebody was, since `begin`."""
        return self._seen

    @property
    def sight(self) -> Sight:
        """What the last look saw, since `begin`."""
        return self._sight

    def words(self, error: psycopg.Error, timeout: float) -> str:
        """Why a try failed, with who was in the way; `timeout` is its lock_timeout in milliseconds."""
        first = self._seen[0] if self._seen else None
        if isinstance(error, psycopg.errors.DeadlockDetected):
            what = "deadlock"
        elif isinstance(error, psycopg.errors.SerializationFailure):
            return "could not serialize access due to concurrent updates (SQLSTATE 40001)"
        else:
            wanted = f"get {lock_mode(first.wants)}" if first and first.wants else "get a lock"
            where = f" on {first.object}" if first and first.object else ""
            if first and first.is_transaction:
                wanted, where = "get past an older transaction", ""
            what = f"could not {wanted}{where} within {time_words(timeout)}"
        if not self._looked:
            return what
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
                    conn.execute(SESSION.encode())
                turn = self._turn
                sight = look(conn, self._pid)
            except (psycopg.Error, ConnectError):
                continue
            finally:
                self._busy_since = None
            if turn == self._turn:
                self._sight, self._looked = sight, True
                self._seen = sight.blockers or self._seen
        if conn is not None:
            conn.close()
