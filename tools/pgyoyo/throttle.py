"""When a backfill has to wait for others: replicas that lag, WAL that somebody still needs, rows that stay dead."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection, errors

from pgyoyo import ledger
from pgyoyo.pace import Limits
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
    _next: float = field(default=0.0, init=False)
    _waiting: bool = field(default=False, init=False)
    _warned: set[str] = field(default_factory=set, init=False)

    def reason(self) -> str:
        """Why the next batch should wait, or ""; it goes on once half of the limit is reached."""
        now = time.monotonic()
        if now < self._next and not self._waiting:
            return ""
        self._next = now + _EVERY
        self._say_who_is_old()
        share = 0.5 if self._waiting else 1.0
        found = self._replica(share) or self._wal(share)
        self._waiting = bool(found)
        return found

    def _replica(self, share: float) -> str:
        limit = self.limits.max_replica_lag
        for name, lag in self._ask("replicas") if limit else ():
            if lag > limit * share:
                return f"replica {name} is {lag:.1f} s behind, more than {limit * share:g} s"
        return ""

    def _wal(self, share: float) -> str:
        limit = self.limits.max_wal
        for name, kept in self._ask("kept") if limit else ():
            if kept > limit * share:
                return f"{size_words(kept)} of WAL are kept for {name}, more than {size_words(limit * share)}"
        return ""

    def _say_who_is_old(self) -> None:
        for pid, name, age in self._ask("oldest"):
            if age > _OLD and f"{pid}" not in self._warned:
                self._warned.add(f"{pid}")
                self.say(
                    f"pid {pid} ({name}) has had a transaction open for {age:.0f} s; until it ends, what the backfill "
                    "replaces can't be cleared away, and the table grows"
                )

    def _ask(self, query: str) -> list[Any]:
        """The rows of a query; none where this role may not look, which is said once."""
        try:
            return self.conn.execute(ledger.queries("backfill")[query].encode()).fetchall()
        except (errors.InsufficientPrivilege, errors.ObjectNotInPrerequisiteState) as error:
            if query not in self._warned:
                self._warned.add(query)
                self.say(f"not watched: {query} ({error.diag.message_primary})")
            return []
