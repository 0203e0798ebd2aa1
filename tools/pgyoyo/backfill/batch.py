"""One batch of a backfill: a short transaction that also saves the cursor, tried again while a lock is not to be had."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from pgyoyo.backfill.pacing import Limits
from pgyoyo.backfill.state import State
from pgyoyo.backfill.waiting import Waiting
from pgyoyo.engine import failures, retry
from pgyoyo.engine.message import Message
from pgyoyo.engine.transaction import Runner
from pgyoyo.engine.wire import Reply
from pgyoyo.errors import ConnectionLostError, StatementError
from pgyoyo.migrations.migration import Migration
from pgyoyo.sql.batched import Batched
from pgyoyo.sql.update import BatchedUpdate

# Longer than any batch should take; then it is halved. The server's own limit, if any, may be meant for requests.
_TOO_LONG = 5000
# How long a batch waits for a row while it holds others; then it is done again without the rows that are locked. An
# application's transaction that waits for such a batch is neither held up for long, nor the victim of a deadlock.
_WAIT = 0.02
# How long the server has been at a message: the time that a batch takes on the line holds up nobody.
_TOOK = """SELECT pg_catalog.date_part(
    'epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) pg_catalog.statement_timestamp())"""
# A database may have another default; in a stricter one, batches and writers would fail each other.
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED"
# Around a batch that reports the rows that still satisfy its WHERE.
_WITH = "WITH _pgyoyo_done AS (\n"
_WITH_END = """) SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE stays),
    pg_catalog.array_agg(place) FILTER (WHERE stays) FROM _pgyoyo_done"""
# Plans as those of any statement.
_FREELY = tuple(f"RESET enable_{way}scan" for way in ("seq", "index", "bitmap"))
_RETRYABLE = (*retry.RETRYABLE, psycopg.errors.SerializationFailure)


class TooLongError(Exception):
    """A batch hit statement_timeout and was rolled back; a smaller one may not."""


class InTheWayError(Exception):
    """A row was locked for longer than a batch waits; the batch was rolled back."""


@dataclass(slots=True)
class Batches:
    """Sends the batches of one backfill on the runner's session, and keeps its row in the ledger."""

    runner: Runner
    migration: Migration
    slice: Batched
    waiting: Waiting
    state: State
    # Called after each batch, with why the next one waits, if it does.
    shown: Callable[[str], None] = lambda _: None
    # What the server has written in all while this backfill ran; bytes. How long somebody waited for the last batch; seconds.
    wal: float = 0.0
    waited: float = 0.0
    # The name of the table that is walked.
    table: str = ""
    # The share of all pages that is done, of which the tables before the present one are `before`, and it is `weight`.
    before: float = 0.0
    weight: float = 1.0
    fraction: float = 0.0
    # Lines on the rows that still satisfy the WHERE, a table each.
    left: list[str] = field(default_factory=list)
    # The tables (oids) whose rows foreign keys delete or change with those of this one.
    cascades: tuple[int, ...] = ()
    _since: float = field(default_factory=time.monotonic, init=False)

    def begin(self, state: State) -> None:
        """Go on from this state of the statement, whose time counts from now."""
        self.state, self._since = state, time.monotonic()

    @property
    def limits(self) -> Limits:
        """The limits that hold by now."""
        return self.waiting.limits

    def settings(self, *, wait: float | None = None) -> list[str]:
        """What holds for one batch. Where the table has no other beside it, no index leads to a row."""
        timeout = self.migration.apply.header.statement_timeout
        settings = [
            f"SET LOCAL lock_timeout = {(wait or self.limits.lock_timeout) * 1000:.0f}",
            f"SET LOCAL statement_timeout = {_TOO_LONG if timeout is None else timeout}",
            "SET LOCAL enable_seqscan = off",
        ]
        if not self.slice.also_reads:
            settings += ["SET LOCAL enable_indexscan = off", "SET LOCAL enable_bitmapscan = off"]
        if not self.slice.IN_TURNS:
            # These batches are so short that to wait for the disk would be a large part of them. What a crash of the server
            # takes with it, rows and cursor alike, the next run does again; the record's own COMMIT waits for all of it.
            settings.append("SET LOCAL synchronous_commit = off")
        if self.limits.triggers == "skip":
            settings.append("SET LOCAL session_replication_role = replica")
        return settings

    def run(
        self,
        statement: str,
        after: Callable[[int], None],
        *,
        once: bool = False,
        look: bool = False,
        stays: Callable[[str], None] | None = None,
    ) -> tuple[int, float]:
        """Commit one batch with the state that `after` makes of the rows it did; the rows, and the seconds it took there.

        Tried again while a lock is not to be had, until give_up_after; `once` waits only a moment, and raises
        InTheWayError then. `look` for who is in the way at the first try already. `stays` is called
        with the new places of the rows that still satisfy the WHERE; what it raises rolls the batch back, and the rows that
        it names don't count as done. Raises TooLongError, StatementError, ConnectionLostError; the batch is rolled back then.
        """
        cascaded = self.waiting.row.text("cascaded", {"tables": list(self.cascades)}) if self.cascades else ""
        counting = [cascaded] if cascaded else []
        ahead = ";\n".join([_BEGIN, *self.settings(wait=_WAIT if once else None), *counting, ""])
        behind = ""
        if stays:
            assert isinstance(self.slice, BatchedUpdate)
            ahead += _WITH
            behind = self.slice.returning_whether_it_stays(_WITH_END)
        text = f"{ahead}{statement}{behind}\n;\n" + ";\n".join([*counting, _TOOK])
        begun = time.monotonic()
        for number, (_, pause) in enumerate(retry.tries()):
            looking = look or number > 0
            started = time.monotonic()
            reply = self._send(text, look=looking)
            if reply.error is None:
                reply, rows, taken = self._commit(reply, started, after, stays, look=looking)
            if reply.error is None:
                return rows, taken
            if not self._waits(reply.error, pause, begun, once=once):
                raise self.failure(reply.error, statement, ahead=ahead, started=self.state.batches > 0)
        raise AssertionError("tries() never ends")

    def _commit(
        self,
        reply: Reply,
        started: float,
        after: Callable[[int], None],
        stays: Callable[[str], None] | None,
        *,
        look: bool,
    ) -> tuple[Reply, int, float]:
        """Commit the batch whose reply this is, with its state; the reply to that, the rows, and the seconds it took there.

        Where it was refused, the state is the one before, but for the time that was worked.
        """
        kept = replace(self.state)
        rows, worked, staying = reply.rows, float(reply.tables[-1][1][0][0] or 0), 0
        done = time.monotonic()
        line = max(0.0, done - started - worked)
        if stays:
            counts = reply.tables[-2][1][0]
            rows, staying = int(counts[0] or 0), int(counts[1] or 0)
            try:
                stays(counts[2] or "")
            except StatementError:
                self._send("ROLLBACK", look=False)
                raise
        after(rows)
        if self.cascades:
            self._count(rows, *(json.loads(reply.tables[place][1][0][0] or "{}") for place in (0, -2)))
        self.state.rows += rows - staying
        self.state.batches += 1
        self._lap()
        try:
            reply = self._send(f"{self.saving()};\nCOMMIT", look=look)
        except ConnectionLostError:
            self.state = kept  # it may have been committed all the same: the ledger knows
            raise
        taken = worked + max(0.0, time.monotonic() - done - line)
        if reply.error is None:
            self._take(reply)
            self.state.longest_batch = max(self.state.longest_batch, taken)
            self.state.busy += taken
            self.shown("")
        else:
            self.state = replace(kept, worked=self.state.worked, busy=self.state.busy)
        return reply, rows, taken

    def _waits(self, error: psycopg.Error, pause: float, begun: float, *, once: bool) -> bool:
        """Pause before the next try of a batch that did not get a lock; False for any other error, or too late."""
        if isinstance(error, psycopg.errors.QueryCanceled):
            raise TooLongError
        if not isinstance(error, _RETRYABLE):
            return False
        if once:
            raise InTheWayError
        left = self.runner.give_up_after - (time.monotonic() - begun)
        words = self.runner.watcher.words(error, self.limits.lock_timeout * 1000)
        self.runner.observer.note(f"{self.migration.id}: {words}; {retry.outlook(pause, left, again=left > pause)}")
        if left <= pause:
            return False
        self.runner.watcher.begin(self.runner.conn, again=True)
        self.waiting.sleep(pause)
        return True

    def whole(self) -> None:
        """The author's UPDATE as it stands, in one transaction: for rows that come faster than they are done."""
        file, script = self.migration.apply, self.slice.script

        def compose(lock_timeout: int) -> list[Message]:
            before = (
                _BEGIN,
                *self.settings(),
                f"SET LOCAL lock_timeout = {lock_timeout}",
                "SET LOCAL enable_seqscan = on",
            )
            return [Message(before, ("COMMIT",), file, script, self.slice.statement)]

        self.runner.patiently(file.header, compose)

    def save(self) -> None:
        """Write the state in a transaction of its own."""
        self._lap()
        reply = self._send(f"BEGIN;\n{self.saving()};\nCOMMIT", look=False)
        if reply.error:
            raise self.failure(reply.error, "", started=True)
        self._take(reply)

    def _take(self, reply: Reply) -> None:
        longest, wal, waited, control = reply.tables[-1][1][0]
        self.state.longest_wait, self.wal, self.waited = float(longest or 0), float(wal or 0), float(waited or 0)
        self.waiting.obey(control or "{}")

    def saving(self) -> str:
        """The statement that writes the state."""
        return self.waiting.row.text("save", {**self.state.values(), "fraction": self.fraction})

    def _count(self, rows: int, before: dict[str, int], after: dict[str, int]) -> None:
        """Add what foreign keys did in a batch of so many rows: the transaction's counts of rows, by the table's name."""
        own = {self.table: rows}
        more = {name: count - before.get(name, 0) - own.get(name, 0) for name, count in after.items()}
        known = self.state.cascaded
        self.state.cascaded = known | {name: known.get(name, 0) + count for name, count in more.items() if count > 0}

    def read(self, query: str, statement: str, *, freely: bool = False) -> list[Any]:
        """The rows of a query about a batch (an EXPLAIN), under its settings, or with the plan left to the server (`freely`);
        nothing stays done.

        Tried again while a lock is not to be had. Raises StatementError.
        """
        conn = self.runner.conn
        begun = time.monotonic()
        for _, pause in retry.tries():
            try:
                conn.execute(";\n".join([_BEGIN, *self.settings(), *(_FREELY if freely else ())]).encode())
                return conn.execute(query.encode()).fetchall()
            except psycopg.OperationalError as error:
                if (
                    conn.closed
                    or not isinstance(error, _RETRYABLE)
                    or time.monotonic() - begun > self.runner.give_up_after
                ):
                    raise
            except psycopg.Error as error:
                raise self.failure(error, statement, ahead=query[: -len(statement)]) from None
            finally:
                if not conn.closed:
                    conn.execute("ROLLBACK")
            self.runner.observer.note(
                f"{self.migration.id}: could not get a lock on {self.slice.name} in time; retrying in {pause:.1f} s"
            )
            self.waiting.sleep(pause)
        raise AssertionError("tries() never ends")

    def failure(
        self, error: psycopg.Error, statement: str, *, ahead: str = "", started: bool = False
    ) -> StatementError:
        """The error of a batch, with the place in the file where it lies in the author's text; `ahead` was sent before."""
        file, own = self.migration.apply, self.slice.statement
        position = error.diag.statement_position
        offset, exact = own.start, False
        if position is not None and statement:
            inside = len(statement[: max(0, int(position) - len(ahead) - 1)].encode())
            inside_text = self.slice.offset_in_author_text(inside)
            if inside_text is not None:
                offset, exact = own.start + inside_text, True
        place = failures.place_at(file, offset, exact=exact)
        name = "" if exact else own.name
        words = failures.describe(place, error, name)
        return StatementError(words, place=place, statement=name, server_error=error, started=started)

    def _lap(self) -> None:
        now = time.monotonic()
        self.state.worked += now - self._since
        self._since = now

    def _send(self, text: str, *, look: bool) -> Reply:
        """The reply; after an error no transaction is left open. `look` for who is in the way, if it lasts."""
        return self.runner.exchange(text.encode(), look=look)
