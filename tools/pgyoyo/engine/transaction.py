"""One migration file on the server, in a transaction with its records."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import psycopg
from psycopg import Connection
from psycopg.pq import TransactionStatus

from pgyoyo.engine import failures, retry, wire
from pgyoyo.engine.retry import Watch
from pgyoyo.engine.wire import Outcome, Reply
from pgyoyo.errors import ConnectionLostError, StatementError
from pgyoyo.migrations.migration import File
from pgyoyo.sql.header import Header
from pgyoyo.sql.script import Script, Statement

# A session as a fresh one, but with its locks: what a file leaves behind never reaches the next one. DISCARD ALL would
# drop the advisory lock. Deferred constraints are checked first, under the settings that the file chose. At the COMMIT, too,
# a dead client has to be noticed.
RESET = (
    "SET CONSTRAINTS ALL IMMEDIATE", "RESET SESSION AUTHORIZATION", "RESET ROLE", "RESET ALL", "CLOSE ALL",
    "DEALLOCATE ALL", "UNLISTEN *", "DISCARD TEMP", "DISCARD SEQUENCES", "SET client_connection_check_interval = 2000",
)  # fmt: skip
# No timeout of the server's may end a session that waits for its turn; a dead client is noticed within seconds.
SESSION = (
    "SET idle_session_timeout = 0", "SET idle_in_transaction_session_timeout = 0",
    "SET client_connection_check_interval = 2000",
)  # fmt: skip


@dataclass(frozen=True)
class Message:
    """What is sent at once: our statements, the SQL of a file or of one statement in it, ours again."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    file: File
    script: Script
    statement: Statement | None = None

    @cached_property
    def head(self) -> str:
        """The text before the file's."""
        return "".join(f"{statement};\n" for statement in self.before)

    @property
    def sql(self) -> bytes:
        """The file's own text, or the one statement's."""
        return self.script.text(self.statement) if self.statement else self.script.sql

    @property
    def tail(self) -> str:
        """The text after the file's; the line break ends a comment that the file may end with."""
        return "\n;\n" + "".join(f"{statement};\n" for statement in self.after)

    @property
    def copies(self) -> list[memoryview]:
        """The data of each COPY … FROM stdin in it."""
        chosen = (self.statement,) if self.statement else self.script.statements
        spans = [statement.data for statement in chosen if statement.data]
        return [memoryview(self.file.data)[start:end] for start, end in spans]

    def for_psql(self) -> str:
        """The message as psql would send it: the data of a COPY stands in the text."""
        text = bytearray(self.file.data)
        for part in (*(self.script.wrapper or ()), *self.script.modes):
            text[part.start : part.end] = b" " * (part.end - part.start)
        return self.head + text.decode("utf-8-sig") + self.tail

    @cached_property
    def encoded(self) -> bytes:
        """The message as it is sent."""
        return b"".join((self.head.encode(), self.sql, self.tail.encode()))


@dataclass(frozen=True, slots=True)
class Step:
    """A file and the statements that record it: those before its own, and those that end the record."""

    file: File
    script: Script
    before: tuple[str, ...]
    after: tuple[str, ...]


def settings(header: Header, lock_timeout: int) -> tuple[str, ...]:
    """The limits of one transaction; milliseconds."""
    limits = (f"SET LOCAL lock_timeout = {lock_timeout}",)
    if header.statement_timeout is None:
        return limits
    return (*limits, f"SET LOCAL statement_timeout = {header.statement_timeout}")


def messages(steps: Sequence[Step], lock_timeout: int | None = None) -> list[Message]:
    """The messages of one transaction, one for each file; without a lock_timeout (ms) that of the first try."""
    sent = []
    for number, step in enumerate(steps, start=1):
        header = step.file.header
        timeout = next(retry.tries(header.lock_timeout))[0] if lock_timeout is None else lock_timeout
        begin = (*(text.decode() for text in step.script.opening), *SESSION) if number == 1 else ()
        end = ("COMMIT",) if number == len(steps) else ()
        before = (*begin, *settings(header, timeout), *step.before)
        sent.append(Message(before, (*RESET, *step.after, *end), step.file, step.script))
    return sent


@dataclass(slots=True)
class Runner:
    """Runs files on one session.

    `say` gets a line for a person whenever something waits, `progress` the seconds that the server is at work already;
    `meanwhile` is called when the first message was sent, for work that need not wait for its reply.
    """

    conn: Connection
    schema: str
    say: Callable[[str], None] = lambda _: None
    progress: Callable[[float], None] = lambda _: None
    give_up_after: float = retry.GIVE_UP_AFTER
    meanwhile: Callable[[], None] | None = None

    def transaction(self, steps: Sequence[Step], ready: Sequence[Message] = ()) -> list[Outcome]:
        """Run the files with their records in one transaction, a message each.

        Tried again while a lock is not to be had; `ready` are the messages of the first try, where they are composed
        already. Raises StatementError, the whole then rolled back, and ConnectionLostError.
        """
        first = iter((ready,) if ready else ())
        return self.patiently(steps[0].file.header, lambda timeout: next(first, ()) or messages(steps, timeout))

    def patiently(self, header: Header, compose: Callable[[int], Sequence[Message]]) -> list[Outcome]:
        """Send the messages of one transaction, again and again while a lock is not to be had."""
        started = time.monotonic()
        watch = Watch(self.conn)
        try:
            for timeout, pause in retry.tries(header.lock_timeout):
                outcomes: list[Outcome] = []
                for sent in compose(timeout):
                    reply = self.send(sent, watch.look)
                    if reply.error:
                        break
                    outcomes.append(reply.outcome(started))
                if not reply.error:
                    return outcomes
                if not self._again(reply.error, started, pause, watch):
                    raise StatementError(explain(sent, reply), step=len(outcomes))
        finally:
            watch.close()
        raise AssertionError("tries() never ends")

    def send(self, sent: Message, look: Callable[[], None] = lambda: None) -> Reply:
        """The reply to a message; after an error no transaction is left open. Raises ConnectionLostError."""
        reply, meanwhile = None, self.meanwhile
        self.meanwhile = None

        def tick(elapsed: float) -> None:
            look()
            self.progress(elapsed)

        try:
            reply = wire.send(
                self.conn, sent.encoded, sent.copies, skip=len(sent.before), tick=tick, meanwhile=meanwhile
            )
        finally:
            failed = reply is None or reply.error
            if failed and self.conn.pgconn.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
                self.conn.execute("ROLLBACK")
        if reply.lost:
            raise ConnectionLostError(str(reply.error).strip() or "the connection was lost", done=None)
        return reply

    def _again(self, error: psycopg.Error, started: float, pause: float, watch: Watch) -> bool:
        """Whether to try again; says who was in the way and pauses if so."""
        if not isinstance(error, retry.RETRYABLE):
            return False
        gone = time.monotonic() - started
        what = "a deadlock" if isinstance(error, psycopg.errors.DeadlockDetected) else "no lock in time"
        for name in watch.seen or ["somebody who was gone before we looked"]:
            self.say(f"{what}: {name}")
        if gone + pause > self.give_up_after:
            self.say(f"gave up after {gone:.1f} s")
            return False
        self.say(f"rolled back, trying again in {pause:.1f} s")
        watch.seen.clear()
        time.sleep(pause)
        return True


def explain(sent: Message, reply: Reply) -> str:
    """The account of a failed message: where in the file, or that the fault lies in what we sent around it.

    Run-time errors carry no position; the number of results received then tells the statement.
    """
    from pgyoyo.sql import parser  # noqa: PLC0415 - the parser's import is not for runs that end well

    assert reply.error is not None
    file, statement, script = sent.file, sent.statement, parser.parse(sent.file.data)
    position = reply.error.diag.statement_position
    offset, exact = None, False
    if position is not None:
        inside = int(position) - len(sent.head)
        if inside > len(sent.sql.decode()):
            # The server stumbled over what follows the file: the file ends too early.
            offset = len(file.data.rstrip()) - 1
        elif inside > 0:
            exact = True
            offset = _within(file, statement.start, inside) if statement else script.offset(inside)
    else:
        index = reply.results - len(sent.before)
        candidates = (statement,) if statement else script.statements
        if 0 <= index < len(candidates):
            statement = candidates[index]
            offset = statement.start
    if offset is None:
        at_end = "at its COMMIT" if reply.results >= len(sent.before) else "while it was recorded in the ledger"
        return f"{file.path}: {at_end}:\n{failures.server_words(reply.error)}"
    place = failures.place_at(file.path, file.data, offset, exact=exact)
    words = failures.describe(place, reply.error, statement.name if statement and not exact else "")
    # A quote that the file leaves open takes in what we sent behind it, and the server quotes all of that.
    return words.replace(sent.tail, "")


def _within(file: File, start: int, position: int) -> int:
    """The byte offset of a character position (from 1) in a statement that begins at byte `start`."""
    return start + len(file.data[start:].decode(errors="replace")[: position - 1].encode())
