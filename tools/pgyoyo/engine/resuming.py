"""What a file outside a transaction needs before it is resumed in a new session, where an earlier run stopped."""

import hashlib
from dataclasses import dataclass

from pgyoyo.engine.leftovers import Leftovers
from pgyoyo.errors import DriftError, MigrationError
from pgyoyo.migrations.migration import File, Migration
from pgyoyo.migrations.status import JournalLine
from pgyoyo.sql.script import Script, Statement
from pgyoyo.sql.session import NOTHING, Effect, effect


@dataclass(frozen=True, slots=True)
class Resumption:
    """What earlier runs noted of a file, by statement number from 1; sends nothing but what clears the way."""

    migration: Migration
    file: File
    script: Script
    lines: dict[int, JournalLine]
    left: Leftovers

    def refuse_other_operation(self, operation: str) -> None:
        """Raises MigrationError where what was interrupted is the other direction."""
        for line in self.lines.values():
            if line.operation != operation:
                raise MigrationError(
                    f"{self.migration.id} was interrupted at statement {line.statement} of its {line.operation}; "
                    f"finish that first: pgyoyo {line.operation}"
                )

    def repeated(self) -> set[int]:
        """The statements that are done and set what the others need in this session too.

        Raises DriftError where one was changed since, MigrationError where what it left in its session can't be had again.
        """
        texts = [self.script.text(statement) for statement in self.script.statements]
        done = [number for number, line in self.lines.items() if line.state == "done" and number <= len(texts)]
        if not done:
            return set()
        again: set[int] = set()
        lost: list[tuple[int, Effect]] = []
        for number in sorted(done):
            self._refuse_change(self.lines[number], texts[number - 1])
            for part in self.script.statements[number - 1].parts:
                text = self.script.text(part)
                left = effect(text)
                if left == NOTHING:
                    left = self.left.effect_of_code(text)
                if left.forgets:
                    again, lost = set(), []
                if left.repeat:
                    again.add(number)
                if left.lost:
                    lost.append((number, left))
        for number, left in lost:
            needing = [n for n, text in enumerate(texts, start=1) if n not in done and left.is_needed_by(text)]
            if needing:
                raise MigrationError(
                    f"{self._place(number)}: statement {number} {left.lost}, which ended with its session, so the file can't "
                    f"be resumed at statement {needing[0]}. Run by hand what is left of it, in one session with what it "
                    f"needs, then record it: pgyoyo mark {self.migration.id}"
                )
        return again

    def is_done(self, line: JournalLine, statement: Statement) -> bool:
        """Whether a statement that failed, or was under way when its runner died, took effect; clears its way if not.

        Raises MigrationError where that can't be looked up.
        """
        text = self.script.text(statement)
        done = self.left.is_done(statement, text) if line.state == "started" else False
        if done is None:
            raise MigrationError(
                f"{self._place(line.statement)}: {self.migration.id} was interrupted while statement {line.statement} ran "
                f"({statement.name}); whether it took effect can't be looked up. See for yourself, then say:\n"
                f"  pgyoyo settle {self.migration.id} --done     it took effect: continue after it\n"
                f"  pgyoyo settle {self.migration.id} --again    it did not: run it again"
            )
        return done or self.left.clear(statement, text)

    def _refuse_change(self, line: JournalLine, text: bytes) -> None:
        if line.checksum != checksum(text):
            raise DriftError(
                f"{self._place(line.statement)}: statement {line.statement} was changed after it ran; "
                "put back what ran, and add what else is needed behind the statements that are done"
            )

    def _place(self, number: int) -> str:
        line = self.script.line(self.script.statements[number - 1].start)
        return f"{self.file.path}:{self.file.line(line)}"


def checksum(text: bytes) -> str:
    """What the journal keeps of a statement's text, the same for any line ends."""
    return hashlib.sha256(text.replace(b"\r\n", b"\n")).hexdigest()


def is_begun(line: JournalLine | None, text: bytes) -> bool:
    """Whether an earlier attempt noted this very statement."""
    return line is not None and line.checksum == checksum(text)
