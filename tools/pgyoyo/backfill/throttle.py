"""When a backfill has to wait: replicas that lag, WAL that is still needed, dead rows that can't be removed."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection, errors

from pgyoyo.backfill.pacing import Limits, is_within
from pgyoyo.backfill.queries import queries
from pgyoyo.backfill.servers_work import Autovacuums, Checkpoints
from pgyoyo.units import size_words

_EVERY = 1.0
# From here on, dead rows stay in the pages for so long that the table grows as under one UPDATE.
_OLD = 60.0


@dataclass(slots=True)
class Throttle:
    """Looks once a second, from the session that runs the batches, between two of them."""

    conn: Connection
    limits: Limits
    say: Callable[[str], None]
    # Whether a person wants it to wait; and whether it waits for that, or for its hours, and not for others.
    paused: bool = False
    # The table (oid) that is walked, and by what share of its size it has grown.
    table: int = 0
    grown: float = 0.0
    wanted: bool = field(default=False, init=False)
    _next: float = field(default=0.0, init=False)
    _waiting: bool = field(default=False, init=False)
    _warned: set[str] = field(default_factory=set, init=False)
    _checkpoints: Checkpoints = field(default_factory=Checkpoints, init=False)
    _autovacuums: Autovacuums = field(default_factory=Autovacuums, init=False)
    # The time of each look, and what the server had written by then; more than an hour of it.
    _written: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=4096), init=False)

    def reason(self) -> str:
        """Why the next batch should wait, or ""; it resumes at half of the limit."""
        now = time.monotonic()
        if now < self._next and not (self._waiting or self.paused):
            return ""
        self._next = now + _EVERY
        self.wanted = False
        if reason := self.by_wish():
            self.wanted = self._waiting = True
            return reason
        share = 0.5 if self._waiting else 1.0
        wait = self._server() or self._horizon() or self._replica(share) or self._wal(share)
        self._waiting = bool(wait)
        return wait

    def by_wish(self) -> str:
        """Why a person wants it to wait: paused, or outside of its hours; or ""."""
        if self.paused:
            return "paused (pgyoyo backfill resume)"
        window = self.limits.window
        if not window:
            return ""
        [[now, zone]] = self._ask("clock")
        return "" if is_within(window, now) else f"it is {now} ({zone}), outside of its window {window}"

    def _replica(self, share: float) -> str:
        """The replica that is furthest behind, if that is too far.

        The lag that the server shows is the one of a replica's last reply: with nothing left to replay it stays for a
        while, and with no reply it is NULL, or does not grow. So one that has replayed everything has none, and any other
        is at least as far behind as the look at which the server had written more than it has replayed by now.
        """
        limit = self.limits.max_replica_lag
        rows = self._ask("replicas") if limit else []
        if any(hidden for _, hidden, *_ in rows):
            self._once("replicas", "not watched: replicas (this role may not see them; GRANT pg_monitor lets it)")
            return ""
        now = time.monotonic()
        self._written += [(now, written) for _, _, _, written, _ in rows[:1]]
        behind = []
        for name, _, replayed, written, reported in rows:
            if replayed < written:
                since = next((at for at, lsn in self._written if lsn > replayed), now)
                behind.append((max(reported, now - since), written - replayed, name))
        lag, size, name = max(behind, default=(0.0, 0, ""))
        if lag <= limit * share:
            return ""
        limits = f"more than {limit * share:g} s (--max-replica-lag)"
        return f"replica {name} is {lag:.1f} s and {size_words(size)} of WAL behind, {limits}"

    def _wal(self, share: float) -> str:
        limit = self.limits.max_wal
        for name, kept in self._ask("kept") if limit else ():
            if kept > limit * share:
                return f"{size_words(kept)} of WAL are kept for {name}, more than {size_words(limit * share)} (max-wal)"
        return ""

    def _horizon(self) -> str:
        """Who keeps dead rows where they are, once the table has grown for that by more than `growth`; till then a note."""
        for pid, name, age in self._ask("oldest"):
            if age > _OLD:
                grown = self.grown
                if self.limits.growth and grown > self.limits.growth:
                    return (
                        f"pid {pid} ({name}) has had a transaction open for {age:.0f} s, and the table grew by {grown:.0%} "
                        "(growth), since its dead rows can't be removed until that ends"
                    )
                self._once(
                    f"{pid}",
                    f"pid {pid} ({name}) has had a transaction open for {age:.0f} s; until it ends, the dead rows of the "
                    "backfill can't be removed, and the table grows",
                )
        return ""

    def _server(self) -> str:
        """Why to wait for the server's own work; and how long to rest for it."""
        known = self._ask("checkpoints" if self.conn.info.server_version >= 170000 else "checkpoints_before_17")
        for requested, timeout in known if self.limits.max_wal else ():
            if line := self._checkpoints.see(requested, timeout):
                self.say(line)
        rows = self._ask("autovacuum", oid=self.table) if self.table else []
        if self._autovacuums.see(rows[0][0] if rows else None) and not rows[0][1]:
            self.say(f"pid {rows[0][0]}, an autovacuum, is at work on the table; batches rest as long as they take")
        return f"pid {rows[0][0]} is an autovacuum of the table to prevent wraparound" if rows and rows[0][1] else ""

    @property
    def rest(self) -> float:
        """How long to rest after a batch for the server's own work, in times of the batch."""
        return self._checkpoints.rest + self._autovacuums.rest

    def _ask(self, query: str, **values: Any) -> list[Any]:
        """The rows of a query; none where this role may not look; a note says so once."""
        try:
            return self.conn.execute(queries()[query].encode(), values or None).fetchall()
        except (errors.InsufficientPrivilege, errors.ObjectNotInPrerequisiteState) as error:
            self._once(query, f"not watched: {query} ({error.diag.message_primary})")
            return []

    def _once(self, what: str, line: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            self.say(line)
