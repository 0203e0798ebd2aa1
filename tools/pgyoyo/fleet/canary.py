"""What a run cost a member, measured from outside, and whether that is within the limits of the fleet."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import psycopg

from pgyoyo.engine import connection
from pgyoyo.errors import ConnectError
from pgyoyo.queries import named
from pgyoyo.units import size_words, time_words

if TYPE_CHECKING:
    from pgyoyo.fleet.definition import Limits
    from pgyoyo.fleet.members import Member
    from pgyoyo.migrator import Migrator

_QUERIES = named(Path(__file__).with_name("canary.sql"))
_INTERVAL = 0.02  # seconds between two looks at the locks; a lock held for less may go unseen


@dataclass(frozen=True, slots=True)
class Lock:
    """How long a run held a lock that others notice, on a table that was there before; seconds."""

    table: str
    mode: str
    seconds: float

    def __str__(self) -> str:
        return f"{self.mode} on {self.table} for {time_words(self.seconds * 1000)}"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run cost: seconds in all, the locks, how often it had to wait for one, bytes of WAL and of rewritten tables.

    WAL is the server's meanwhile, so that of others counts too.
    """

    seconds: float
    locks: tuple[Lock, ...]
    waits: int
    wal: int
    rewritten: int

    def __str__(self) -> str:
        longest = [str(lock) for lock in self.locks[:3]] or [f"no strong lock for {_INTERVAL * 1000:.0f} ms or longer"]
        words = [f"{time_words(self.seconds * 1000)} in all", *longest, f"{size_words(self.wal)} of WAL"]
        if self.rewritten:
            words.append(f"{size_words(self.rewritten)} rewritten")
        if self.waits:
            words.append(f"waited {self.waits} times for a lock")
        return "; ".join(words)

    def beyond(self, limits: Limits) -> list[str]:
        """What is more than the limits allow, each with the limit."""
        faults = []
        if limits.max_lock is not None:
            faults += [
                f"{lock}, more than max-lock ({time_words(limits.max_lock * 1000)})"
                for lock in self.locks
                if lock.seconds > limits.max_lock
            ]
        if limits.max_wal is not None and self.wal > limits.max_wal:
            faults.append(f"{size_words(self.wal)} of WAL, more than max-wal ({size_words(limits.max_wal)})")
        if limits.max_duration is not None and self.seconds > limits.max_duration:
            faults.append(
                f"{time_words(self.seconds * 1000)} in all, more than max-duration "
                f"({time_words(limits.max_duration * 1000)})"
            )
        return faults


class Watch:
    """Looks at the locks of a run from a second session, every 20 ms, as long as its block lasts."""

    def __init__(self, migrator: Migrator) -> None:
        self._migrator = migrator
        self._conn = connection.connect(connection.to_reconnect(migrator.conn))
        self._held: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._waits = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._seconds = 0.0
        self._before: dict[int, int] = {}
        self._wal = ""

    def __enter__(self) -> Self:
        self._conn.execute("SET search_path = pg_catalog")
        self._before = dict(self._files())
        self._wal = self._wal_position()
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._seconds = time.monotonic() - self._started
        self._end.set()
        self._thread.join()
        self._after = dict(self._files())
        changed = [oid for oid, file in self._after.items() if oid in self._before and self._before[oid] != file]
        row = self._conn.execute(_QUERIES["written"], {"before": self._wal, "tables": changed}).fetchone()
        assert row
        self._written = row
        self._conn.close()

    def cost(self) -> Cost:
        """What was seen; once the block has ended."""
        locks = [Lock(table, mode, seconds) for (table, mode), seconds in self._held.items()]
        locks.sort(key=lambda lock: -lock.seconds)
        wal, rewritten = self._written
        return Cost(self._seconds, tuple(locks), self._waits, int(wal), int(rewritten))

    def _look(self) -> None:
        waiting, last = False, time.monotonic()
        while not self._end.wait(_INTERVAL):
            conn = self._migrator.conn
            if conn.closed:
                continue
            try:
                rows = self._conn.execute(
                    _QUERIES["locks"], {"pid": conn.info.backend_pid, "known": list(self._before)}
                ).fetchall()
            except psycopg.Error:
                return
            now = time.monotonic()
            for table, mode, granted in rows:
                if granted:
                    self._held[table, mode] += now - last
            is_waiting = any(not granted for _, _, granted in rows)
            self._waits += is_waiting and not waiting
            waiting, last = is_waiting, now

    def _files(self) -> Iterator[tuple[int, int]]:
        return iter(self._conn.execute(_QUERIES["files"]).fetchall())

    def _wal_position(self) -> str:
        row = self._conn.execute(_QUERIES["position"]).fetchone()
        assert row
        return str(row[0])


def troubles(member: Member) -> list[str]:
    """What is wrong at a member some time after its run: sessions that wait for locks, invalid indexes, no connection."""
    try:
        with connection.connect(member.conninfo) as conn:
            conn.execute("SET search_path = pg_catalog")
            rows: Sequence[tuple[str]] = conn.execute(_QUERIES["troubles"], {"schema": member.schema}).fetchall()
    except (ConnectError, psycopg.Error) as error:
        return [connection.redact(str(error).strip(), member.conninfo)]
    return [text for (text,) in rows]
