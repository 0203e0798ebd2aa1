"""One transaction on the server, tried again while a lock is not to be had."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import Connection
from psycopg.pq import TransactionStatus

from pgyoyo.engine import failures, retry, wire
from pgyoyo.engine.blockers import Watcher
from pgyoyo.engine.message import Message, Step, compose
from pgyoyo.engine.observer import SILENT, Observer
from pgyoyo.engine.wire import Outcome, Reply
from pgyoyo.errors import ConnectionLostError
from pgyoyo.sql.header import Header


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

    def transaction(self, steps: Sequence[Step]) -> list[Outcome]:
        """Run the files with their records in one transaction, a message each.

        Raises StatementError, the whole then rolled back, and ConnectionLostError.
        """
        return self.patiently(steps[0].file.header, lambda timeout: compose(steps, timeout))

    def patiently(self, header: Header, messages: Callable[[int], Sequence[Message]]) -> list[Outcome]:
        """Send the messages of one transaction, again and again while a lock is not to be had.

        `messages` composes them for a lock_timeout in milliseconds. Raises StatementError and ConnectionLostError.
        """
        started = time.monotonic()
        for timeout, pause in retry.tries(header.lock_timeout):
            outcomes: list[Outcome] = []
            self.watcher.begin(self.conn)
            for sent in messages(timeout):
                reply = self.send(sent)
                if reply.error:
                    break
                outcomes.append(reply.outcome(started))
            if not reply.error:
                return outcomes
            if not self.pause(reply.error, timeout, pause, started):
                raise failures.statement_error(sent, reply, step=len(outcomes))
        raise AssertionError("tries() never ends")

    def send(self, sent: Message) -> Reply:
        """The reply to a message, or to all its parts; after an error no transaction is left open.

        Raises ConnectionLostError, and StatementError where a part ended the transaction before the next was sent.
        """
        whole, copies, characters = Reply(), iter(sent.copies), 0
        for number, text in enumerate(sent.parts, start=1):
            reply = self.exchange(text, copies, skip=max(len(sent.before) - whole.results, 0))
            whole.follow(reply, characters)
            if reply.error:
                break
            if number < len(sent.parts) and self.conn.pgconn.transaction_status == TransactionStatus.IDLE:
                raise failures.ended_too_early(sent, whole)
            characters += len(text.decode())
        return whole

    def exchange(self, text: bytes, copies: Iterable[memoryview] = (), *, skip: int = 0, look: bool = True) -> Reply:
        """The reply to a text of statements, as `wire.send`; after an error no transaction is left open.

        `look` has the watcher find out who is in the way. Raises ConnectionLostError.
        """
        reply = None
        what = f"{self.operation} {self.name}"

        def tick(elapsed: float) -> None:
            if look:
                self.watcher.look()
            self.observer.progress(what, elapsed)

        try:
            reply = wire.send(self.conn, text, copies, skip=skip, tick=tick)
        finally:
            failed = reply is None or reply.error
            if failed and self.conn.pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
                self.conn.execute("ROLLBACK")
        if reply.lost:
            raise ConnectionLostError(str(reply.error).strip() or "the connection was lost", done=None)
        return reply

    def record(self, texts: Sequence[str], path: str) -> None:
        """Write what ends a migration of several transactions, in one more.

        Raises StatementError, which says that what the file did stays, and ConnectionLostError.
        """
        reply = self.exchange(";\n".join(["BEGIN", *texts, "COMMIT"]).encode(), look=False)
        if reply.error:
            raise failures.record_error(reply.error, path)

    def pause(self, error: psycopg.Error, timeout: float, pause: float, started: float) -> bool:
        """Whether to try again after a pause of so many seconds, which it makes; says who was in the way.

        `timeout` is the lock_timeout of the try in milliseconds, `started` the monotonic clock's at the first one.
        """
        if not isinstance(error, retry.RETRYABLE):
            return False
        left = self.give_up_after - (time.monotonic() - started)
        again = left > pause
        self.observer.note(
            f"{self.name}: {self.watcher.words(error, timeout)}; {retry.outlook(pause, left, again=again)}"
        )
        if again:
            time.sleep(pause)
        return again
