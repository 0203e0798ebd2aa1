"""One transaction on the server, tried again while a lock is not to be had."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import psycopg
from psycopg import Connection
from psycopg.pq import TransactionStatus

from pgyoyo import sql
from pgyoyo.engine import failures, retry, wire
from pgyoyo.engine.blockers import Watcher, show_pause
from pgyoyo.engine.message import Message, Step, compose
from pgyoyo.engine.observer import SILENT, Observer
from pgyoyo.engine.reading import ANY, changed_setting
from pgyoyo.engine.wire import Outcome, Reply
from pgyoyo.errors import ConnectionLostError
from pgyoyo.migrations.migration import hash_of
from pgyoyo.sql.header import Header
from pgyoyo.units import seconds

# A note says who holds up a statement after so many seconds, and then again and again after as many.
_FIRST_WORD, _NEXT_WORD = 1.0, 30.0
# A try that ends sooner (ms) says who was in the way at its end.
_SHORT = 5000


@dataclass(slots=True)
class Attempt:
    """What came of the messages of one try: an outcome for each that ended well, and the last one with its reply."""

    outcomes: list[Outcome]
    sent: Message
    reply: Reply


@dataclass(slots=True)
class Runner:
    """Sends the messages of one migration on one session; `name` is its id, `operation` what is done to it.

    `give_up_after` is in seconds, from the first try on.
    """

    conn: Connection
    schema: str
    name: str
    operation: str
    observer: Observer = SILENT
    give_up_after: float = retry.GIVE_UP_AFTER
    watcher: Watcher = field(default_factory=Watcher)
    # What of the migration is at work, where it is only a part of it.
    doing: str = field(default="", init=False)
    # The autovacuums that were waited for long enough to be cancelled.
    _outlasted: set[int] = field(default_factory=set, init=False)

    def transaction(self, steps: Sequence[Step]) -> list[Outcome]:
        """Run the files with their records in one transaction, a message each.

        Raises StatementError, the whole then rolled back, and ConnectionLostError.
        """
        return self.patiently(steps[0].file.header, lambda timeout: compose(steps, timeout))

    def patiently(self, header: Header, messages: Callable[[int], Sequence[Message]]) -> list[Outcome]:
        """Send the messages of one transaction, again and again while a lock is not to be had.

        `messages` composes them for a lock_timeout in milliseconds. Raises StatementError and ConnectionLostError.
        """

        def attempt(timeout: int) -> Attempt:
            started = time.monotonic()
            outcomes: list[Outcome] = []
            for sent in messages(timeout):
                reply = self.send(sent, limit=timeout)
                if reply.error:
                    break
                outcomes.append(reply.outcome(started))
            return Attempt(outcomes, sent, reply)

        return self.retried(header.lock_timeout, attempt)

    def retried(
        self, lock_timeout: int | None, attempt: Callable[[int], Attempt], *, again: Callable[[], bool] = lambda: True
    ) -> list[Outcome]:
        """The outcomes of the first attempt that gets its locks, each for a lock_timeout in milliseconds.

        `lock_timeout` is the file's own, kept for every try; `again` is whether a failed one may be repeated. Raises
        StatementError and ConnectionLostError.
        """
        started = time.monotonic()
        longer, tried = None, False
        for usual, pause in retry.tries(lock_timeout):
            timeout = longer or usual
            self.watcher.begin(self.conn, again=tried)
            tried = True
            done = attempt(timeout)
            error = done.reply.error
            if not error:
                return done.outcomes
            longer = self._to_outlast_autovacuum(timeout)
            if not again() or not self.pause(error, timeout, pause, started, longer=longer, own=lock_timeout):
                raise failures.statement_error(done.sent, done.reply, step=len(done.outcomes))
            longer = longer if lock_timeout is None else None
        raise AssertionError("tries() never ends")

    def _to_outlast_autovacuum(self, timeout: int) -> int | None:
        """The lock_timeout (ms) of a try that gets past the autovacuums that alone were in the way of the last one.

        PostgreSQL cancels them for a session that has waited for deadlock_timeout. Each of them is outlasted once, since
        everybody who queues behind us waits as long. None where that is no help.
        """
        seen = self.watcher.seen
        pids = {blocker.pid for blocker in seen}
        if not seen or self.conn.closed or not all(holder.is_autovacuum and not holder.stays for holder in seen):
            return None
        if pids <= self._outlasted:
            return None
        row = self.conn.execute("SELECT pg_catalog.current_setting('deadlock_timeout')").fetchone()
        assert row
        needed = round(seconds(row[0]) * 1000) + 500
        if timeout >= needed:
            return None
        self._outlasted |= pids
        return needed

    def send(self, sent: Message, *, limit: int = 0) -> Reply:
        """The reply to a message, or to all its parts; after an error no transaction is left open.

        `limit` is the lock_timeout it has, in milliseconds, 0 for none. Raises ConnectionLostError, and StatementError where
        the server would read the next part otherwise than it was read here.
        """
        whole, copies, changing = Reply(), iter(sent.copies), 0
        for part in sent.parts:
            if part.escapes is not None:
                changed = partial(changed_setting, self.conn, sent.file, escapes=part.escapes)
                changing = (changing or whole.results - len(sent.before)) if changed(ANY) else 0
                if setting := changed(part.text):
                    self.conn.execute("ROLLBACK")
                    statement = sql.parser.parse(sent.file.data).statements[changing - 1]
                    raise failures.read_otherwise(sent.file, statement, setting)
            skip = max(len(sent.before) - whole.results, 0)
            reply = self.exchange(part.text, copies, skip=skip, limit=limit)
            whole.follow(reply, part.before)
            if reply.error:
                break
        return whole

    def exchange(
        self, text: bytes, copies: Iterable[memoryview] = (), *, skip: int = 0, look: bool = True, limit: int = 1
    ) -> Reply:
        """The reply to a text of statements, as `wire.send`; after an error no transaction is left open.

        `look` has the watcher find out who is in the way; a note names who holds it up for long, unless its lock_timeout,
        `limit` in milliseconds, ends the wait soon. Raises ConnectionLostError.
        """
        reply = None
        what = f"{self.operation} {self.name}"
        next_word = _FIRST_WORD if limit == 0 or limit > _SHORT else float("inf")

        def tick(elapsed: float) -> None:
            nonlocal next_word
            sight = self.watcher.sight
            if look:
                self.watcher.look()
            if sight.blockers and elapsed >= next_word:
                next_word = elapsed + _NEXT_WORD
                doing = f" ({self.doing})" if self.doing else ""
                self.observer.note(f"{self.name}{doing}: {sight}")
            self.observer.progress(what, elapsed, sight.phase)

        try:
            reply = wire.send(self.conn, text, copies, skip=skip, tick=tick)
        finally:
            failed = reply is None or reply.error
            if failed and self.conn.pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
                self.conn.execute("ROLLBACK")
        if reply.unknown:
            raise ConnectionLostError(failures.loss_words(reply.error or psycopg.OperationalError()), done=None)
        return reply

    def record(self, texts: Sequence[str], path: str) -> None:
        """Write what ends a migration of several transactions, in one more.

        Raises StatementError, which says that what the file did stays, and ConnectionLostError.
        """
        reply = self.exchange(";\n".join(["BEGIN READ WRITE", *texts, "COMMIT"]).encode(), look=False)
        if reply.error:
            raise failures.record_error(reply.error, path)

    def pause(
        self, error: psycopg.Error, timeout: float, pause: float, started: float, *, longer: int | None, own: int | None
    ) -> bool:
        """Whether to try again after a pause of so many seconds, which it makes; says who was in the way.

        `timeout` is the lock_timeout of the try in milliseconds, `started` the monotonic clock's at the first one; `longer`
        is the one that gets past an autovacuum, `own` the file's.
        """
        if not isinstance(error, retry.RETRYABLE):
            return False
        left = self.give_up_after - (time.monotonic() - started)
        again = left > pause
        outlook = retry.outlook(pause, left, again=again, longer=longer, own=own)
        words = f"{self.watcher.words(error, timeout)}; {outlook}"
        self.observer.note(f"{self.name}: {words}")
        if again:
            show_pause(self.conn, hash_of(self.name), words)
            time.sleep(pause)
        return again
