"""How long to wait for a lock, how long to pause before the next try, and who was in the way."""

import random
from collections.abc import Iterator

import psycopg
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from pgyoyo.engine import connection
from pgyoyo.errors import ConnectError

# Everyone who queues behind our ALTER waits as long as this, so it stays far below what a person notices, and below
# deadlock_timeout (1 s), so that it is never an application's transaction that dies.
TIMEOUTS = (100, 250, 500, 1000)
TRIES_EACH = 10
GIVE_UP_AFTER = 600.0

RETRYABLE = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)

_BLOCKERS = """
SELECT DISTINCT ON (b.pid) b.pid, b.application_name, b.usename, b.state,
       left(regexp_replace(b.query, '\\s+', ' ', 'g'), 80) AS query,
       extract(epoch FROM clock_timestamp() - coalesce(b.xact_start, b.backend_start))::float8 AS age,
       held.mode, coalesce(w.relation::regclass::text, w.locktype) AS object
FROM pg_locks w
CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS blocker
JOIN pg_stat_activity b ON b.pid = blocker
LEFT JOIN pg_locks held ON held.pid = b.pid AND held.granted AND held.locktype = w.locktype
     AND held.relation IS NOT DISTINCT FROM w.relation
WHERE w.pid = %(pid)s AND NOT w.granted
ORDER BY b.pid, held.mode
"""


def tries(lock_timeout: int | None = None) -> Iterator[tuple[int, float]]:
    """Endless (lock_timeout in ms, pause in s after a failure): ten of each timeout, pauses growing to 30 s, jittered.

    A timeout of the file's own (lock_timeout) is kept for every try.
    """
    number = 0
    while True:
        timeout = TIMEOUTS[min(number // TRIES_EACH, len(TIMEOUTS) - 1)]
        pause = min(0.5 * 1.15**number, 30.0) * random.uniform(0.5, 1.5)  # noqa: S311 - spreads runners, guards nothing
        yield timeout if lock_timeout is None else lock_timeout, pause
        number += 1


class Watch:
    """Looks, from a second session that is opened when first needed, at who blocks a session."""

    def __init__(self, conn: Connection) -> None:
        self._watched = conn
        self._second: Connection | None = None
        self.seen: list[str] = []

    def look(self) -> None:
        """Note who is in the way at this moment, if anybody is; keeps what was seen before if nobody is now.

        A second session that can't be had is no reason to fail: then nobody is named.
        """
        try:
            if self._second is None:
                conninfo = make_conninfo(connection.again(self._watched.info), application_name="pgyoyo watch")
                self._second = connection.connect(conninfo)
            rows = self._second.execute(_BLOCKERS, {"pid": self._watched.info.backend_pid}).fetchall()
        except (psycopg.Error, ConnectError):
            return
        if rows:
            self.seen = [
                f"pid {pid} ({application or 'no application name'}, user {user}, {state}, for {age:.1f} s) holds "
                f"{mode or 'a lock'} on {thing}: {query}"
                for pid, application, user, state, query, age, mode, thing in rows
            ]

    def close(self) -> None:
        """Close the second session, if there is one."""
        if self._second is not None:
            self._second.close()
