"""One migration file on the server, in a transaction with its records."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psycopg
from psycopg import Connection
from psycopg.pq import TransactionStatus

from pgyoyo import diagnosis, message, patience
from pgyoyo.errors import ConnectionLostError, StatementError
from pgyoyo.message import Reply
from pgyoyo.migration import File
from pgyoyo.patience import Watch
from pgyoyo.statements import Script, Statement

# A session as a fresh one, but with its locks: what a file leaves behind never reaches the next one. DISCARD ALL would
# drop the advisory lock. Deferred constraints are checked first, under the settings that the file chose.
RESET = (
    "SET CONSTRAINTS ALL IMMEDIATE", "RESET SESSION AUTHORIZATION", "RESET ROLE", "RESET ALL", "CLOSE ALL",
    "DEALLOCATE ALL", "UNLISTEN *", "DISCARD TEMP", "DISCARD SEQUENCES",
)  # fmt: skip
# No timeout of the server's may end a session that waits for its turn; a dead client is noticed within seconds.
SESSION = (
    "SET idle_session_timeout = 0", "SET idle_in_transaction_session_timeout = 0",
    "SET client_connection_check_interval = '2s'",
)  # fmt: skip


@dataclass(slots=True)
class Outcome:
    """What running one file gave besides its effect; milliseconds."""

    duration: float = 0.0
    tables: list[message.Rows] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent for a file in a transaction: our statements, the file's own SQL, ours again."""

    before: tuple[str, ...]
    sql: bytes
    copies: tuple[tuple[int, int], ...]
    after: tuple[str, ...]

    @property
    def head(self) -> str:
        """The text before the file's."""
        return ";\n".join(self.before) + ";\n"

    @property
    def tail(self) -> str:
        """The text after the file's; the line break ends a comment that the file may end with."""
        return "\n;\n" + ";\n".join(self.after) + ";\n"

    def encode(self) -> bytes:
        """The message as it is sent."""
        return b"".join((self.head.encode(), self.sql, self.tail.encode()))


@dataclass(slots=True)
class Runner:
    """Runs files on one session; `say` gets a line for a person whenever something waits."""

    conn: Connection
    schema: str
    say: Callable[[str], None] = lambda _: None
    give_up_after: float = patience.GIVE_UP_AFTER

    def message(
        self,
        file: File,
        script: Script,
        before: Sequence[str],
        after: Sequence[str],
        *,
        lock_timeout: int | None = None,
    ) -> Message:
        """What is sent for a file in a transaction; the first try's lock_timeout (ms) unless another is given."""
        if lock_timeout is None:
            lock_timeout = next(patience.tries(file.header.lock_timeout))[0]
        settings = [f"SET LOCAL lock_timeout = {lock_timeout}"]
        if file.header.statement_timeout is not None:
            settings.append(f"SET LOCAL statement_timeout = {file.header.statement_timeout}")
        begin = script.begin.decode()
        return Message((begin, *SESSION, *settings, *before), script.sql, script.copies, (*RESET, *after, "COMMIT"))

    def transaction(self, file: File, script: Script, before: Sequence[str], after: Sequence[str]) -> Outcome:
        """Run a file with its records in one transaction and one message, trying again while a lock is not to be had.

        `before` are the statements that record it, `after` those that end the record. Raises StatementError, the whole
        then rolled back, and ConnectionLostError.
        """
        return self.patiently(
            file, lambda timeout: self.message(file, script, before, after, lock_timeout=timeout), script
        )

    def patiently(
        self, file: File, compose: Callable[[int], Message], script: Script, statement: Statement | None = None
    ) -> Outcome:
        """Send a message that is a whole transaction, again and again while a lock is not to be had."""
        started = time.monotonic()
        watch = Watch(self.conn)
        try:
            for timeout, pause in patience.tries(file.header.lock_timeout):
                sent = compose(timeout)
                reply = self.send(sent, file, watch.look)
                if reply.error is None:
                    return Outcome((time.monotonic() - started) * 1000, reply.tables, reply.notices)
                if not self._again(reply.error, started, pause, watch):
                    raise StatementError(explain(file, script, sent, reply, statement))
        finally:
            watch.close()
        raise AssertionError("tries() never ends")

    def send(self, sent: Message, file: File, look: Callable[[], None]) -> Reply:
        """The reply to a message, no transaction left open; raises ConnectionLostError."""
        pgconn = self.conn.pgconn
        try:
            data = [memoryview(file.data)[start:end] for start, end in sent.copies]
            reply = message.send(self.conn, sent.encode(), data, skip=len(sent.before), tick=lambda _: look())
        finally:
            if pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
                self.conn.execute("ROLLBACK")
        if reply.lost:
            raise ConnectionLostError(str(reply.error).strip() or "the connection was lost", done=None)
        return reply

    def _again(self, error: psycopg.Error, started: float, pause: float, watch: Watch) -> bool:
        """Whether to try again; says who was in the way and pauses if so."""
        if not isinstance(error, patience.RETRYABLE):
            return False
        gone = time.monotonic() - started
        what = "a deadlock" if isinstance(error, psycopg.errors.DeadlockDetected) else "no lock in time"
        for name in watch.seen or ["somebody who was gone before we looked"]:
            self.say(f"{what}: {name}")
        if gone + pause > self.give_up_after:
            self.say(f"gave up after {gone:.0f} s")
            return False
        self.say(f"rolled back, trying again in {pause:.1f} s")
        watch.seen.clear()
        time.sleep(pause)
        return True


def explain(file: File, script: Script, sent: Message, reply: Reply, statement: Statement | None = None) -> str:
    """The account of a failed message: where in the file, or that the fault lies in what we sent around it.

    Run-time errors carry no position; the number of results received then tells the statement.
    """
    assert reply.error is not None
    position = reply.error.diag.statement_position
    offset, exact = None, False
    base = statement.start if statement else 0
    if position is not None:
        inside = int(position) - len(sent.head)
        if inside > len(sent.sql.decode()):
            # The server stumbled over what follows the file: the file ends too early.
            offset = len(file.data.rstrip()) - 1
        elif inside > 0:
            offset, exact = script.offset(inside) if not statement else _within(file, base, inside), True
    else:
        index = reply.results - len(sent.before)
        statements = (statement,) if statement else script.statements
        if 0 <= index < len(statements):
            statement = statements[index]
            offset = statement.start
    if offset is None:
        at_end = "at its COMMIT" if reply.results >= len(sent.before) else "while it was recorded in the ledger"
        return f"{file.path}: {at_end}:\n{diagnosis.server_words(reply.error)}"
    place = diagnosis.place_at(file.path, file.data, offset, exact=exact)
    return diagnosis.describe(place, reply.error, statement.name if statement and not exact else "")


def _within(file: File, start: int, position: int) -> int:
    """The byte offset of a character position (from 1) in a statement that begins at byte `start`."""
    return start + len(file.data[start:].decode(errors="replace")[: position - 1].encode())
