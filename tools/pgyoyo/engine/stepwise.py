"""A migration that can't run in a transaction: statement by statement, each noted, resumed where it stopped."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg

from pgyoyo.engine import failures, ledger, wire
from pgyoyo.engine.commits import is_code, may_commit, needs_to_be_alone
from pgyoyo.engine.harm import Guard, log_rows
from pgyoyo.engine.leftovers import Leftovers, is_patient, is_repeatable
from pgyoyo.engine.message import OWN, RESET, Message, Step, limits
from pgyoyo.engine.partitions import is_validation
from pgyoyo.engine.piecewise import Piecewise
from pgyoyo.engine.reading import Reading
from pgyoyo.engine.resuming import Resumption, checksum, is_begun
from pgyoyo.engine.transaction import Attempt, Runner
from pgyoyo.engine.wire import Outcome
from pgyoyo.errors import StatementError
from pgyoyo.migrations.migration import File, Migration
from pgyoyo.migrations.status import Applied, JournalLine
from pgyoyo.sql.header import Header
from pgyoyo.sql.script import Script, Statement
from pgyoyo.sql.session import effect

# The limits that the file itself set in the session, in milliseconds; and the number of its present transaction.
_LIMITS = """
SELECT s.name, s.setting::pg_catalog.int4 FROM pg_catalog.pg_settings AS s
WHERE s.source OPERATOR(pg_catalog.=) 'session'
  AND s.name OPERATOR(pg_catalog.=) ANY ('{lock_timeout,statement_timeout}'::pg_catalog.text[])
"""
_NUMBER = """
SELECT pg_catalog.split_part(l.virtualtransaction, '/', 2)::pg_catalog.int8 FROM pg_catalog.pg_locks AS l
WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() LIMIT 1
"""
# "in a transaction block" (ERRCODE_ACTIVE_SQL_TRANSACTION) and "invalid transaction termination": what the server alone knows
# to run by itself, such as REINDEX of a partitioned table, or code that commits and does not look so.
_ALONE = ("25001", "2D000")


@dataclass(slots=True)
class Stepwise:
    """Runs one file outside a transaction; lines are what earlier runs noted, by statement number from 1.

    `applied` are the ledger's rows before it.
    """

    runner: Runner
    migration: Migration
    step: Step
    operation: str
    lines: dict[int, JournalLine]
    applied: Sequence[Applied]
    _left: Leftovers = field(init=False)
    _guard: Guard = field(init=False)

    def __post_init__(self) -> None:
        self._left = Leftovers(self.runner.conn, self.runner.observer.note)

    @property
    def file(self) -> File:
        """The file that runs."""
        return self.step.file

    def run(self) -> Outcome:
        """Run what is not done yet, then record the whole in one transaction.

        A statement that may run in a transaction is noted in its own; another one is noted before and after. Nothing is
        undone on failure: raises StatementError with what stays, and MigrationError where a statement's outcome is
        unknown and can't be looked up. The session is then as it was before the file.
        """
        started, outcome = time.monotonic(), Outcome()
        conn, schema = self.runner.conn, self.runner.schema
        self._guard = Guard(conn, schema, str(self.file.path), self.applied, log_rows(conn, schema))
        resumption = Resumption(self.migration, self.file, self.step.script, self.lines, self._left)
        resumption.refuse_other_operation(self.operation)
        try:
            self._run(outcome, resumption)
            self._guard.refuse_changes()
            self.runner.record(self._record(), str(self.file.path))
        except BaseException:
            # The lock's end is written by the role that logged in, whatever the file had set.
            if not self.runner.conn.closed:
                with suppress(psycopg.Error):
                    wire.clear(self.runner.conn)
                    self.runner.conn.execute(";\n".join(RESET[1:]).encode())
            raise
        finally:
            self.runner.doing = ""
        outcome.duration = (time.monotonic() - started) * 1000
        return outcome

    def _run(self, outcome: Outcome, resumption: Resumption) -> None:
        script = self.step.script
        repeated = resumption.repeated()
        reading = Reading(self.runner.conn, self.file)
        for number, statement in enumerate(script.statements, start=1):
            line = self.lines.get(number)
            text = script.text(statement)
            reading.begin(statement, text, sent=not (line and line.state == "done"))
            self.runner.doing = f"statement {number}, {statement.name}"
            if line and line.state == "done":
                if number in repeated:
                    self._repeat(statement, script)
                continue
            if self._in_pieces(number, statement, script, outcome):
                continue
            if line and not is_validation(text) and resumption.is_done(line, statement):
                self._note(number, text, "done")
                continue
            self._one(number, statement, script, outcome)

    def _one(self, number: int, statement: Statement, script: Script, outcome: Outcome) -> None:
        text = script.text(statement)
        alone = needs_to_be_alone(statement, text, self.runner.conn)
        if alone and is_code(statement):
            self._guard.refuse_code(number, statement, [("", text.decode(errors="replace")), *self._left.codes(text)])
        try:
            if not alone:
                try:
                    part = self._in_transaction(number, statement, script)
                except StatementError as error:
                    if statement.block or failures.sqlstate(error.server_error) not in _ALONE:
                        raise
                    alone = True  # all of it was rolled back
            if alone:
                part = self._alone(number, statement, script)
        except StatementError as error:
            # What could not run in a transaction is not undone: a failed index build leaves an invalid index.
            error.started = number > 1 or alone
            raise
        outcome.add(part)
        if alone and is_code(statement):  # in a transaction the record has looked
            self._guard.refuse_changes(f"statement {number}, {statement.name}")

    def _in_pieces(self, number: int, statement: Statement, script: Script, outcome: Outcome) -> bool:
        """Run what is left of a statement that is sent partition by partition; whether it is one."""
        text = script.text(statement)
        piecewise = Piecewise(self.runner, self.file, script, statement)
        if piecewise.left(begun=is_begun(self.lines.get(number), text), started=number > 1) is None:
            return False
        self._note(number, text, "started")
        try:
            outcome.add(piecewise.run(*self._header()))
        except StatementError:
            self._note(number, text, "failed")
            raise
        self._note(number, text, "done")
        return True

    def _in_transaction(self, number: int, statement: Statement, script: Script) -> Outcome:
        note = self._bind(number, script.text(statement), "done")
        header, _ = self._header()

        def compose(lock_timeout: int) -> list[Message]:
            before = (statement.begin or "BEGIN READ WRITE", *limits(header, lock_timeout), *self.step.record.begin)
            # Behind it, so that nothing of ours stands between the file and its own settings.
            after = ("SET CONSTRAINTS ALL IMMEDIATE", *OWN, *self.step.record.end, note, "COMMIT")
            return [Message(before, after, self.file, script, statement, apart=self.step.apart)]

        return self.runner.patiently(header, compose)[0]

    def _alone(self, number: int, statement: Statement, script: Script) -> Outcome:
        """Run it by itself; tried again for its locks where it may shut others out, and nothing of it was done."""
        text = script.text(statement)
        header, own = self._header()
        patient = is_patient(text)
        sent = Message((), (), self.file, script, statement)
        transactions = 0

        def attempt(timeout: int) -> Attempt:
            nonlocal transactions
            timeout = own.get("lock_timeout", (header.lock_timeout or 0) if patient else timeout)
            ours = {"lock_timeout": timeout, "statement_timeout": header.statement_timeout or 0}
            ours = {name: value for name, value in ours.items() if name not in own}
            self._note(number, text, "started")
            first = self._number(*(f"SET {name} = {value}" for name, value in ours.items()))
            started = time.monotonic()
            reply = self.runner.send(sent, limit=timeout)
            transactions = self._number() - first - 1
            # What the file itself sets in it stays.
            for name, value in self._limits().items():
                if ours.get(name) == value:
                    self.runner.conn.execute(f"RESET {name}".encode())
            if reply.error:
                self._note(number, text, "failed")
                return Attempt([], sent, reply)
            return Attempt([reply.outcome(started)], sent, reply)

        def again() -> bool:
            return not patient and (
                is_repeatable(statement) or transactions == 1 or not may_commit(self.runner.conn, text)
            )

        try:
            part = self.runner.retried(header.lock_timeout, attempt, again=again)[0]
        except StatementError as error:
            if transactions > 1 and not patient and not is_repeatable(statement) and may_commit(self.runner.conn, text):
                error.words += (
                    "\nIt had committed a part of its work before, which stays; the next run begins it again."
                )
            raise
        self._refuse_invalid(statement, number, text)
        try:
            self._note(number, text, "done")
        except psycopg.errors.UndefinedTable:
            self._guard.refuse_changes()
            raise
        return part

    def _header(self) -> tuple[Header, dict[str, int]]:
        """The file's limits: what its header says, or what it set in the session since, which is given by itself too."""
        own = self._limits()
        header = self.file.header
        if "lock_timeout" in own:
            header = header._replace(lock_timeout=own["lock_timeout"])
        if "statement_timeout" in own:
            header = header._replace(statement_timeout=None)
        return header, own

    def _limits(self) -> dict[str, int]:
        return dict(self.runner.conn.execute(_LIMITS.encode()).fetchall())

    def _number(self, *settings: str) -> int:
        """Make these settings; the number of the transaction that did, of which each has the next one in its session."""
        cursor = self.runner.conn.execute(";\n".join([*settings, _NUMBER]).encode())
        while cursor.nextset():
            pass
        [(number,)] = cursor.fetchall()
        return int(number)

    def _record(self) -> list[str]:
        """What ends the migration, once all its statements are done."""
        clear = ledger.bind(self.runner.conn, "journal_clear", self.runner.schema, {"hash": self.migration.hash})
        return [*RESET, *self.step.record.statements, clear]

    def _bind(self, number: int, text: bytes, state: str) -> str:
        return ledger.bind(
            self.runner.conn, "journal_start", self.runner.schema,
            {"hash": self.migration.hash, "statement": number, "id": self.migration.id, "operation": self.operation,
             "checksum": checksum(text), "state": state},
        )  # fmt: skip

    def _noting(self, number: int, text: bytes, state: str) -> str:
        """A note in a transaction of its own."""
        return ";\n".join(["BEGIN READ WRITE", *OWN, self._bind(number, text, state), "COMMIT"])

    def _note(self, number: int, text: bytes, state: str) -> None:
        self.runner.conn.execute(self._noting(number, text, state).encode())

    def preview(self) -> str:
        """What `run` would send, for psql; statements that are done already are left out."""
        parts = []
        for number, statement in enumerate(self.step.script.statements, start=1):
            text = self.step.script.text(statement)
            line = self.lines.get(number)
            if line and line.state == "done":
                continue
            shown = (self.file.data[statement.start : statement.end] if statement.block else text).decode() + "\n;"
            if statement.data:
                shown += "\n" + self.file.data[slice(*statement.data)].decode() + "\\."
            begun = is_begun(line, text)
            left = Piecewise(self.runner, self.file, self.step.script, statement).planned(begun=begun)
            if left is not None or needs_to_be_alone(statement, text):
                sent = [f"{piece.text}\n;" for piece in left or ()] if left or (left == [] and begun) else [shown]
                parts += [self._noting(number, text, "started") + ";", *sent, self._noting(number, text, "done") + ";"]
            else:
                record = self.step.record
                begin = ";\n".join([statement.begin or "BEGIN READ WRITE", *record.begin])
                done = ";\n".join([*OWN, *record.end, self._bind(number, text, "done"), "COMMIT;"])
                parts += [f"{begin};", shown, done]
        return "\n".join([*parts, ";\n".join(["BEGIN READ WRITE", *self._record(), "COMMIT"]) + ";"]) + "\n"

    def _repeat(self, statement: Statement, script: Script) -> None:
        """Set again what lasts for the session only."""
        for part in statement.parts:
            if statement.block and not effect(script.text(part)).repeat:
                continue
            reply = self.runner.exchange(script.text(part), look=False)
            if reply.error:
                sent = Message((), (), self.file, script, part)
                raise failures.statement_error(sent, reply, started=True)

    def _refuse_invalid(self, statement: Statement, number: int, text: bytes) -> None:
        """IF NOT EXISTS steps over an index that an earlier attempt left broken; that is no success."""
        target = statement.target
        if (
            statement.kind == "create-index-concurrently"
            and target
            and target.index
            and self._left.index(target) is False
        ):
            self._note(number, text, "failed")
            raise StatementError(
                f"{self.file.path}: {statement.name} ended without an error, but the index is not valid; it was left by "
                "an earlier attempt. Run pgyoyo apply again: the invalid index is then dropped and built again",
                advice="",
            )
