"""A migration that can't run in a transaction: statement by statement, each noted, resumed where it stopped."""

import hashlib
import time
from dataclasses import dataclass

from psycopg import sql

from pgyoyo.engine import failures, ledger
from pgyoyo.engine.message import RESET, Message, Step, limits
from pgyoyo.engine.transaction import Runner
from pgyoyo.engine.wire import Outcome
from pgyoyo.errors import DriftError, MigrationError, StatementError
from pgyoyo.migrations.migration import File, Migration
from pgyoyo.migrations.status import JournalLine
from pgyoyo.sql.script import Script, Statement, Target

# What can be looked up: an index by its name and table. An index that a build left behind is not valid.
_INDEX = """
SELECT c.oid::regclass::text, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.oid = to_regclass(%(index)s) AND (%(table)s::text IS NULL OR i.indrelid = to_regclass(%(table)s))
"""
_LEFT_BY_REINDEX = """
SELECT c.oid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$'
  AND i.indrelid = coalesce(to_regclass(%(table)s), (SELECT indrelid FROM pg_index WHERE indexrelid = to_regclass(%(index)s)))
"""


@dataclass(slots=True)
class Stepwise:
    """Runs one file outside a transaction; lines are what earlier runs noted, by statement number from 1."""

    runner: Runner
    migration: Migration
    step: Step
    operation: str
    lines: dict[int, JournalLine]

    @property
    def file(self) -> File:
        """The file that runs."""
        return self.step.file

    def run(self) -> Outcome:
        """Run what is not done yet, then record the whole in one transaction.

        A statement that may run in a transaction is noted in its own; another one is noted before and after. Nothing is
        undone on failure: raises StatementError with what stays, and MigrationError where a statement's outcome is
        unknown and can't be looked up.
        """
        started = time.monotonic()
        script = self.step.script
        outcome = Outcome()
        self._refuse_other_operation()
        for number, statement in enumerate(script.statements, start=1):
            line = self.lines.get(number)
            text = script.text(statement)
            if line and line.state == "done":
                self._refuse_change(line, text, statement, script)
                # Settings last for the session only, so a resumed file needs them again.
                if statement.name.split(" ")[0] in ("SET", "RESET"):
                    self.runner.conn.execute(text)
                continue
            if line and line.state == "started" and self._is_done(number, statement, script):
                self._note(number, text, "done")
                continue
            if line:
                self._clear_way(statement)
            self._one(number, statement, script, outcome)
        self.runner.record(self._record(), str(self.file.path))
        outcome.duration = (time.monotonic() - started) * 1000
        return outcome

    def _one(self, number: int, statement: Statement, script: Script, outcome: Outcome) -> None:
        text = script.text(statement)
        try:
            if needs_to_be_alone(statement):
                self._note(number, text, "started")
                self._settings()
                sent = Message((), (), self.file, script, statement)
                reply = self.runner.send(sent)
                if reply.error:
                    self._note(number, text, "failed")
                    raise failures.statement_error(sent, reply)
                outcome.add(reply)
                self._refuse_invalid(statement, number, text)
                self._note(number, text, "done")
            else:
                note = self._bind(number, text, "done")

                def compose(lock_timeout: int) -> list[Message]:
                    before = ("BEGIN", *limits(self.file.header, lock_timeout), note)
                    return [Message(before, ("COMMIT",), self.file, script, statement, apart=self.step.apart)]

                outcome.add(self.runner.patiently(self.file.header, compose)[0])
        except StatementError as error:
            # What could not run in a transaction is not undone: a failed index build leaves an invalid index.
            error.started = number > 1 or needs_to_be_alone(statement)
            raise

    def _settings(self) -> None:
        """CONCURRENTLY waits for older transactions by design and shuts nobody out: only the file's own limit counts."""
        header = self.file.header
        self.runner.conn.execute(f"SET lock_timeout = {header.lock_timeout or 0}".encode())
        self.runner.conn.execute(f"SET statement_timeout = {header.statement_timeout or 0}".encode())

    def _record(self) -> list[str]:
        """What ends the migration, once all its statements are done."""
        clear = ledger.bind(self.runner.conn, "journal_clear", self.runner.schema, {"hash": self.migration.hash})
        return [*RESET, *self.step.record.opening, *self.step.record.closing, clear]

    def _bind(self, number: int, text: bytes, state: str) -> str:
        return ledger.bind(
            self.runner.conn, "journal_start", self.runner.schema,
            {"hash": self.migration.hash, "statement": number, "id": self.migration.id, "operation": self.operation,
             "checksum": _checksum(text), "state": state},
        )  # fmt: skip

    def _note(self, number: int, text: bytes, state: str) -> None:
        self.runner.conn.execute(self._bind(number, text, state).encode())

    def preview(self) -> str:
        """What `run` would send, for psql; statements that are done already are left out."""
        parts = []
        for number, statement in enumerate(self.step.script.statements, start=1):
            text = self.step.script.text(statement)
            if number in self.lines and self.lines[number].state == "done":
                continue
            shown = text.decode() + "\n;"
            if statement.data:
                shown += "\n" + self.file.data[slice(*statement.data)].decode() + "\\."
            if needs_to_be_alone(statement):
                parts += [self._bind(number, text, "started") + ";", shown, self._bind(number, text, "done") + ";"]
            else:
                parts += ["BEGIN;", self._bind(number, text, "done") + ";", shown, "COMMIT;"]
        return "\n".join([*parts, ";\n".join(["BEGIN", *self._record(), "COMMIT"]) + ";"]) + "\n"

    # --- resuming --------------------------------------------------------------------------------------------------

    def _refuse_other_operation(self) -> None:
        for line in self.lines.values():
            if line.operation != self.operation:
                raise MigrationError(
                    f"{self.migration.id} was interrupted at statement {line.statement} of its {line.operation}; "
                    f"finish that first: pgyoyo {line.operation}"
                )

    def _refuse_change(self, line: JournalLine, text: bytes, statement: Statement, script: Script) -> None:
        if line.checksum != _checksum(text):
            raise DriftError(
                f"{self.file.path}:{script.line(statement.start)}: statement {line.statement} was changed after it ran; "
                "put back what ran, and add what else is needed behind the statements that are done"
            )

    def _is_done(self, number: int, statement: Statement, script: Script) -> bool:
        """Whether a statement that was under way when its runner died took effect; looked up where that is possible.

        Raises MigrationError where it is not.
        """
        target = statement.target
        if statement.kind == "create-index-concurrently" and target and target.index:
            return self._index(target) is True
        if statement.kind == "drop-index-concurrently" and target:
            return self._index(target) is None
        if statement.kind == "reindex-concurrently" or statement.name.startswith("VACUUM"):
            return False
        raise MigrationError(
            f"{self.file.path}:{script.line(statement.start)}: {self.migration.id} was interrupted while statement "
            f"{number} ran ({statement.name}); whether it took effect can't be looked up. See for yourself, then say:\n"
            f"  pgyoyo settle {self.migration.id} --done     it took effect: go on after it\n"
            f"  pgyoyo settle {self.migration.id} --again    it did not: run it again"
        )

    def _clear_way(self, statement: Statement) -> None:
        """Drop what an interrupted or failed attempt left: only indexes that are not valid."""
        target = statement.target
        if not target:
            return
        if statement.kind == "create-index-concurrently" and target.index and self._index(target) is False:
            self._drop(str(qualified(target, target.index)))
        if statement.kind == "reindex-concurrently":
            names = {"table": qualified(target, target.table), "index": qualified(target, target.index)}
            for row in self.runner.conn.execute(_LEFT_BY_REINDEX, names).fetchall():
                self._drop(row[0])

    def _drop(self, name: str) -> None:
        self.runner.observer.note(f"dropping the invalid index {name} that an earlier attempt left")
        self.runner.conn.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}".encode())

    def _index(self, target: Target) -> bool | None:
        """Whether the index is valid; None where there is none."""
        names = {"index": qualified(target, target.index), "table": qualified(target, target.table)}
        row = self.runner.conn.execute(_INDEX, names).fetchone()
        return None if row is None else bool(row[1])

    def _refuse_invalid(self, statement: Statement, number: int, text: bytes) -> None:
        """IF NOT EXISTS steps over an index that an earlier attempt left broken; that is no success."""
        target = statement.target
        if statement.kind == "create-index-concurrently" and target and target.index and self._index(target) is False:
            self._note(number, text, "failed")
            raise StatementError(
                f"{self.file.path}: {statement.name} ended without an error, but the index is not valid; it was left by "
                "an earlier attempt. Run pgyoyo apply again: the invalid index is then dropped and built again",
                advice="",
            )


def needs_to_be_alone(statement: Statement) -> bool:
    """Whether it can't, or may not, run in a transaction: a procedure or a DO block may commit by itself."""
    return statement.needs_autocommit or statement.name.split(" ")[0].upper() in ("CALL", "DO")


def _checksum(text: bytes) -> str:
    return hashlib.sha256(text.replace(b"\r\n", b"\n")).hexdigest()


def qualified(target: Target, name: str | None) -> str | None:
    """The name with the target's schema, as the server reads it; None for none."""
    if name is None:
        return None
    parts = [target.schema, name] if target.schema else [name]
    return sql.Identifier(*parts).as_string(None)
