"""Short reads of a table, as an application sends them, that count how often a lock kept them waiting."""

import threading

import psycopg


class Probes:
    """Reads of `t` one after the other; `blocked` counts those that waited longer than `limit` milliseconds for a lock."""

    def __init__(self, conninfo: str, limit: int) -> None:
        self.conn = psycopg.connect(conninfo, autocommit=True, application_name="probe")
        self.conn.execute(f"SET lock_timeout = {limit}".encode())
        self.done = self.blocked = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go)

    def __enter__(self) -> "Probes":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.conn.close()

    def _go(self) -> None:
        while not self._stop.wait(0.002):  # a lock in the way is there for fifty times as long
            try:
                self.conn.execute("SELECT count(*) FROM t")
                self.done += 1
            except psycopg.errors.LockNotAvailable:
                self.blocked += 1

    def behind(self, conn: psycopg.Connection, application: str) -> bool:
        """Whether a probe waits for this application just now."""
        query = "SELECT 1 FROM pg_stat_activity WHERE application_name = %s AND pid = ANY(pg_blocking_pids(%s))"
        return conn.execute(query, [application, self.conn.info.backend_pid]).fetchone() is not None
