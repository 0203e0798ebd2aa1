"""What one transaction sends, from its BEGIN to its COMMIT."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

from pgyoyo.engine import retry
from pgyoyo.engine.parts import Cut
from pgyoyo.migrations.migration import File
from pgyoyo.sql.header import Header
from pgyoyo.sql.lexer import has_statement
from pgyoyo.sql.script import Script, Statement

# What every session of ours needs, whatever the role or the database sets: no timeout of the server's ends a session that
# waits for its next try, and the server notices a dead client within seconds. They are sent before the first BEGIN: inside a
# transaction a failed try's ROLLBACK would undo them.
# A backslash in a quoted text is itself, as the reader of the files takes it. One statement, which is a third of the time of
# five for our side; no quote of the server's escaping, since it may be sent behind a file; no row.
SESSION = (
    "SELECT WHERE pg_catalog.concat("
    "pg_catalog.set_config($$standard_conforming_strings$$, $$on$$, false), "
    "pg_catalog.set_config($$idle_session_timeout$$, $$0$$, false), "
    "pg_catalog.set_config($$idle_in_transaction_session_timeout$$, $$0$$, false), "
    "pg_catalog.set_config($$client_connection_check_interval$$, $$2000$$, false), "
    # Since PostgreSQL 17; by way of pg_settings it would take a millisecond.
    "CASE WHEN pg_catalog.current_setting($$transaction_timeout$$, true) IS NOT NULL "
    "THEN pg_catalog.set_config($$transaction_timeout$$, $$0$$, false) END) IS NULL"
)
# Deferred constraints are checked under the settings that the file chose; then the role is again the one that logged in.
RESET_ROLE = ("SET CONSTRAINTS ALL IMMEDIATE", "RESET SESSION AUTHORIZATION", "RESET ROLE")
_RESET_REST = (
    "RESET ALL", "CLOSE ALL", "DEALLOCATE ALL", "UNLISTEN *", "DISCARD PLANS", "DISCARD TEMP", "DISCARD SEQUENCES",
    SESSION,
)  # fmt: skip
# The session as a fresh one, but with its locks: nothing that a file leaves behind reaches the next one. DISCARD ALL would
# drop the advisory lock.
RESET = (*RESET_ROLE, *_RESET_REST)

# What the server says, as the text that is no boolean, where the record finds that a file reached for the ledger or the lock.
LOST = (
    "the file, or something that it called, changed the ledger: rows of other migrations, or the row of this one. "
    "Only pgyoyo may: see pgyoyo mark, unmark and repair"
)
ALTERED = (
    "the file, or something that it called, dropped, moved or altered a table of the ledger, or made a trigger, a rule or "
    "row-level security for it; all commands would then refuse the ledger"
)
TAKEN = "another runner has the lock of this run: a file released it"
# What stands around our own statements in the session of a file that is still at work: they run as the role that logged in
# and without its limits, and at the end of their transaction all is again as the file has it.
OWN = (
    "SET LOCAL SESSION AUTHORIZATION DEFAULT", "SET LOCAL role TO DEFAULT", "SET LOCAL statement_timeout = 0",
    "SET LOCAL lock_timeout = 0", "SET LOCAL synchronous_commit TO DEFAULT",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Record:
    """The statements that record what happens to a migration: before its file runs, and at the end.

    `check` is the one that looks what the file did to the ledger; it needs a setting of `opening`, which RESET forgets. For a
    single statement of a file outside a transaction, `begin` and `end` stand for both.
    """

    opening: tuple[str, ...] = ()
    check: tuple[str, ...] = ()
    closing: tuple[str, ...] = ()
    begin: tuple[str, ...] = ()
    end: tuple[str, ...] = ()

    @property
    def statements(self) -> tuple[str, ...]:
        """All of them, where no file runs between them."""
        return (*self.opening, *self.check, *self.closing)


@dataclass(frozen=True, slots=True)
class Step:
    """A file to run, and its record; `cuts` are where in its SQL a new message begins (see parts.py).

    `apart` keeps our own statements out of the file's messages. `raw` sends the file to a server that takes any bytes and
    gives them back as they are (SQL_ASCII).
    """

    file: File
    script: Script
    record: Record
    cuts: tuple[Cut, ...] = ()
    apart: bool = False
    raw: bool = False


class Part(NamedTuple):
    """A text to send, and how many characters of its message stand before it.

    `escapes` is whether its reader took a backslash for an escape; None where no file's text begins.
    """

    text: bytes
    before: int = 0
    escapes: bool | None = None


@dataclass(frozen=True)
class Message:
    """What is sent for a file, or one statement of it: our statements, its SQL, ours again; at once, unless it is cut."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    file: File
    script: Script
    statement: Statement | None = None
    cuts: tuple[Cut, ...] = ()
    apart: bool = False

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
        spans = [part.data for statement in chosen for part in statement.parts if part.data]
        return [memoryview(self.file.data)[start:end] for start, end in spans]

    def for_psql(self) -> str:
        """The message as psql would send it: the data of a COPY stands in the text."""
        text = bytearray(self.file.data)
        for part in (*(self.script.wrapper or ()), *self.script.modes):
            text[part.start : part.end] = b" " * (part.end - part.start)
        return self.head + text.decode("utf-8-sig") + self.tail

    @property
    def parts(self) -> list[Part]:
        """The texts that are sent one after the other.

        Together they are the head, the SQL and the tail, but for blanks and comments between them.
        """
        sql, offsets = self.sql, [cut.offset for cut in self.cuts]
        texts = [sql[start:end] for start, end in pairwise((0, *offsets, len(sql)))]
        head, tail = self.head.encode(), self.tail.encode()
        if self.apart:
            texts = [head, *texts, tail]
        else:
            texts[0] = head + texts[0]
            texts[-1] += tail
        if len(texts) == 1:
            return [Part(texts[0])]
        before = accumulate((len(text.decode()) for text in texts), initial=0)
        escapes = [None] * (1 + self.apart) + [cut.escapes for cut in self.cuts] + [None]
        parts = zip(before, texts, escapes, strict=False)
        return [Part(text.rstrip(), start, escape) for start, text, escape in parts if has_statement(text)]


def compose(steps: Sequence[Step], lock_timeout: int | None = None) -> list[Message]:
    """The messages of one transaction, a message for each file; all go out on one connection, whose session has had SESSION.

    In the order of sending:

    1. BEGIN, or the file's own BEGIN with its transaction modes
    2. the limits of the file: lock_timeout (ms; without one, that of the first try) and statement_timeout
    3. the record: the ledger row, the log row, the stored script
    4. the file, as one string, unless its step says where it is cut
    5. RESET: what the file set or left open; behind its first part, the check of the record
    6. the end of the record
    7. COMMIT

    For several files 1 stands in the first message only and 7 in the last one.
    """
    messages = []
    for number, step in enumerate(steps, start=1):
        begin = tuple(text.decode() for text in step.script.opening) if number == 1 else ()
        commit = ("COMMIT",) if number == len(steps) else ()
        # Else the server refuses to send what is not UTF-8. RESET ends it.
        raw = ("SET LOCAL client_encoding = 'SQL_ASCII'",) if step.raw else ()
        before = (*begin, *limits(step.file.header, lock_timeout), *step.record.opening, *raw)
        after = (*RESET_ROLE, *step.record.check, *_RESET_REST, *step.record.closing, *commit)
        messages.append(Message(before, after, step.file, step.script, cuts=step.cuts, apart=step.apart))
    return messages


def limits(header: Header, lock_timeout: int | None = None) -> tuple[str, ...]:
    """The limits of one transaction; milliseconds."""
    timeout = next(retry.tries(header.lock_timeout))[0] if lock_timeout is None else lock_timeout
    settings = (f"SET LOCAL lock_timeout = {timeout}",)
    if header.statement_timeout is None:
        return settings
    return (*settings, f"SET LOCAL statement_timeout = {header.statement_timeout}")
