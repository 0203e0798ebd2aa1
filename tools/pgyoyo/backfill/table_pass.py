"""The pass of a backfill over one table: every page, then the rows that had moved or were locked."""

import time
from dataclasses import dataclass, field

from psycopg import Connection

from pgyoyo.backfill.batch import Batches, InTheWayError, TooLongError
from pgyoyo.backfill.pacing import Cursor, Pace, passes_for
from pgyoyo.backfill.queries import queries
from pgyoyo.backfill.sweep import Sweep, refuse_to_add_up
from pgyoyo.backfill.tables import Table
from pgyoyo.backfill.trigger_check import TriggerCheck
from pgyoyo.backfill.vacuum import vacuum
from pgyoyo.errors import StatementError
from pgyoyo.sql.update import BatchedUpdate

_SAMPLE = 32
# The share of the target that a batch of a DELETE or INSERT takes at most: the statement alone is so fast that batches of
# full length would be a large part of what others wait for it.
_MOST = 0.6
# The share of a table's rows that are deleted between two VACUUMs, and how many at most: as many as one VACUUM holds in
# 64 MB, the default of maintenance_work_mem.
_GONE = 0.5
_MOST_GONE = 10_000_000
# How often the size of the table is looked at, and whether it was rewritten, where each batch is a zone; seconds.
_EVERY = 0.25
# From here on, a share of the pages, the VACUUM at the end is near enough.
_NEAR = 0.9


@dataclass(slots=True)
class TablePass:
    """Does the rows of one table; `member` is its name where the statement has to name it."""

    batches: Batches
    trigger_check: TriggerCheck
    table: Table
    member: str | None
    # The end of the zone where a row was locked for longer than a batch waits.
    _busy: int = field(default=-1, init=False)
    # Whether there was a row that still satisfied the WHERE.
    _stayed: bool = field(default=False, init=False)
    # How many rows this run has deleted since the last VACUUM.
    gone: int = field(default=0, init=False)

    @property
    def conn(self) -> Connection:
        """The session of the backfill."""
        return self.batches.runner.conn

    def run(self) -> None:
        """Do all rows that the table has now. Raises StatementError, ConnectionLostError, RefusedError."""
        batches = self.batches
        if batches.state.relation != self.table.oid:
            self._enter()
        filenode, high, heap, _ = self.now()
        density = self._density(high)
        throttle, first = batches.waiting.throttle, heap
        throttle.table, throttle.grown = self.table.oid, 0.0
        passes = passes_for(density) if batches.slice.IN_TURNS else 1
        pace = Pace(batches.limits.target, density, passes, most=1.0 if batches.slice.IN_TURNS else _MOST)
        vacuumed = heap
        cleared, done, looked = batches.state.rows, 0, time.monotonic()
        while batches.state.page < batches.state.high:
            state = batches.state
            if state.page >= state.zone_end:
                if passes > 1 or time.monotonic() > looked + _EVERY:
                    filenode, _, heap, _ = self.now()
                    looked = time.monotonic()
                if filenode != state.filenode:
                    # VACUUM FULL or CLUSTER rewrote the table: every row is in another place.
                    self._restart()
                    looked = 0.0
                    continue
                throttle.grown = heap / max(first, 1) - 1
                grown = batches.limits.growth and heap > vacuumed * (1 + batches.limits.growth)
                much = min(_GONE * density * max(high, _SAMPLE), _MOST_GONE)
                emptied = batches.limits.growth and self._gone(cleared) > much
                if (grown or emptied) and state.zone_end < _NEAR * state.high:
                    vacuum(batches, self.table.name)
                    vacuumed, cleared = heap, batches.state.rows
                state = batches.state
                state.cursor = Cursor(state.zone_end, min(state.high, state.zone_end + pace.zone()), 0, state.zone_end)
            done = self._batch(pace, passes, 0 if state.page == state.zone_start else done)
        Sweep(batches, self.trigger_check, self.table, self.member).run(pace)
        self.gone = self._gone(cleared)

    def _gone(self, cleared: int) -> int:
        """How many rows were deleted since so many were done."""
        return self.batches.state.rows - cleared if self.batches.slice.VERB == "delete" else 0

    def now(self) -> tuple[int, int, int, int]:
        """Its file, how many pages it has, the bytes of its heap and of its indexes."""
        row = self.conn.execute(queries()["state"].encode(), {"oid": self.table.oid}).fetchone()
        if row is None:
            raise StatementError(f"{self.table.name} was dropped while its backfill ran", started=True, advice="")
        return row

    def _enter(self) -> None:
        """Begin with this table."""
        filenode, high, heap, indexes = self.now()
        state = self.batches.state
        state.relation, state.filenode, state.high, state.cursor = self.table.oid, filenode, high, Cursor()
        if self.batches.slice.LOCK:
            state.heap_before += heap
            state.indexes_before += indexes
        self.batches.save()

    def _restart(self) -> None:
        filenode, high, _, _ = self.now()
        state = self.batches.state
        self.batches.runner.observer.note(
            f"{self.table.name} was rewritten meanwhile (VACUUM FULL, CLUSTER); starting again at its first page"
        )
        state.filenode, state.high, state.cursor = filenode, high, Cursor()
        self.batches.save()

    def _density(self, high: int) -> float:
        """Rows in a page, as in a few pages in the middle."""
        start = max(0, (high - _SAMPLE) // 2)
        which = Cursor(start, page=start).condition(start + _SAMPLE, 1).format(ctid="ctid")
        query = f"SELECT pg_catalog.count(*) FROM ONLY {self.table.name} WHERE {which}"  # noqa: S608 - quoted by the server
        row = self.conn.execute(query.encode()).fetchone()
        assert row
        return float(row[0]) / max(1, min(high, _SAMPLE))

    def _batch(self, pace: Pace, passes: int, done: int) -> int:
        """The next batch of the pass; how many rows its turn has done so far (`done`: before it)."""
        batches = self.batches
        cursor = batches.state.cursor
        pace.target = batches.limits.target
        upto = min(cursor.end, pace.upto(cursor))
        which = cursor.condition(upto, passes)

        def after(rows: int) -> None:
            # So few that they can go to other pages: more turns would only read.
            few = cursor.turn == 0 and (done + rows) * passes * 16 <= pace.density * (cursor.end - cursor.start)
            self._move(cursor.after(upto, passes, few=few), passes)

        started = time.monotonic()
        # Another part of the pages in each turn, so that rows of all parts are tried.
        part = Cursor(page=cursor.page + cursor.turn * (upto - cursor.page) // passes).condition(upto, 1)
        if not self.trigger_check.passed(self.table, self.member, cursor.condition(upto, 1), part=part):
            # No row of these pages needs it, in any turn.
            self._move(Cursor(cursor.start, cursor.end, passes - 1, upto).after(upto, passes, few=True), passes)
            pace.learn(cursor, upto, 0, time.monotonic() - started)
            batches.save()
            batches.waiting.rest(time.monotonic() - started)
            return 0
        waiting = cursor.end > self._busy
        # Where no row can be passed over, a lock is waited for as long as any.
        once = waiting and bool(batches.slice.LOCK)
        statement = batches.slice.batch(which, member=self.member, waiting=waiting)
        stays = self._stay if self._may_stay(cursor, passes) else None
        try:
            rows, taken = batches.run(statement, after, once=once, stays=stays)
        except InTheWayError:
            # From here to the end of the zone, rows that are locked are passed over.
            self._busy = cursor.end
            return done
        except TooLongError:
            if upto - cursor.page <= 1:
                raise StatementError(
                    f"{self.table.name}: the rows of one page take longer than statement_timeout",
                    started=True,
                    advice="Give a longer statement-timeout in the header",
                ) from None
            pace.halve(first=cursor.turn == 0)
            return done
        pace.learn(cursor, upto, rows, taken, waited=batches.waited)
        batches.waiting.rest(taken)
        return done + rows

    def _may_stay(self, cursor: Cursor, passes: int) -> bool:
        """Whether to look for rows that still satisfy the WHERE once they are updated: a later turn would update them again,
        and they would count as often. To look takes time; what only triggers or a FROM keep is looked for at a zone's end.
        """
        update = self.batches.slice
        if not isinstance(update, BatchedUpdate):
            return False
        often = bool(update.adds_up) or (update.compares and not update.from_clause) or self._stayed
        return often or (
            (bool(self.table.triggers) or bool(update.from_clause)) and (cursor.start == 0 or cursor.turn == passes - 1)
        )

    def _stay(self, places: str) -> None:
        self._stayed = self._stayed or bool(places)
        refuse_to_add_up(self.batches, self.table, self.member, places)

    def _move(self, cursor: Cursor, passes: int) -> None:
        state = self.batches.state
        state.cursor = cursor
        self.batches.fraction = self.batches.before + self.batches.weight * cursor.done(state.high, passes)
