"""A statement on a partitioned table that is sent partition by partition, each part tried again for its locks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

from pgyoyo.engine.leftovers import is_patient
from pgyoyo.engine.message import Message
from pgyoyo.engine.partition_tree import Piece, TakenError
from pgyoyo.engine.partitions import pieces
from pgyoyo.engine.transaction import Attempt, Runner
from pgyoyo.engine.wire import Outcome
from pgyoyo.errors import StatementError
from pgyoyo.migrations.migration import File
from pgyoyo.sql.header import Header
from pgyoyo.sql.script import Script, Statement


@dataclass(frozen=True)
class _PieceMessage(Message):
    """A piece in place of the author's statement."""

    piece: Piece = field(kw_only=True)

    @property
    def sql(self) -> bytes:
        return self.piece.text.encode()


@dataclass(frozen=True, slots=True)
class Piecewise:
    """Sends what is left of one statement."""

    runner: Runner
    file: File
    script: Script
    statement: Statement

    def left(self, *, begun: bool = True, started: bool = True) -> list[Piece] | None:
        """What is left to do; None where the statement is to be sent as it stands.

        Raises StatementError, which has `started`.
        """
        try:
            return pieces(self.runner.conn, self.script.text(self.statement), begun=begun)
        except ValueError as error:
            line = self.file.line(self.script.line(self.statement.start))
            words = f"{self.file.path}:{line}: {self.statement.name}: {error}"
            raise StatementError(words, started=started, advice="") from error

    def planned(self, *, begun: bool) -> list[Piece] | None:
        """What `left` gives; nothing where something else has its name now, which may be gone by then."""
        try:
            return self.left(begun=begun)
        except StatementError as error:
            if isinstance(error.__cause__, TakenError):
                return []
            raise

    def run(self, header: Header, own: Mapping[str, int]) -> Outcome:
        """Send all of it, each part committed by itself, until the catalog has nothing left to do.

        `own` are the limits that the file itself set, in milliseconds; the other ones are the header's.
        After StatementError, ConnectionLostError or a kill the next run goes on with what is left then.
        """
        outcome, first = Outcome(), True
        while left := self.left():
            # The first one shows what the rest is compared with.
            for piece in left[:1] if first else left:
                self.runner.doing = piece.text.partition("\n")[0][:100]
                outcome.add(self._send(piece, header, own))
            first = False
        return outcome

    def _send(self, piece: Piece, header: Header, own: Mapping[str, int]) -> Outcome:
        sent = _PieceMessage((), (), self.file, self.script, self.statement, piece=piece)
        patient = is_patient(sent.sql)
        ours = {"statement_timeout": header.statement_timeout or 0}

        def attempt(timeout: int) -> Attempt:
            limit = own.get("lock_timeout", (header.lock_timeout or 0) if patient else timeout)
            limits = {name: value for name, value in {**ours, "lock_timeout": limit}.items() if name not in own}
            for name, value in limits.items():
                self.runner.conn.execute(f"SET {name} = {value}".encode())
            started = monotonic()
            try:
                reply = self.runner.send(sent, limit=limit)
            finally:
                for name in limits if not self.runner.conn.closed else ():
                    self.runner.conn.execute(f"RESET {name}".encode())
            position = reply.error.diag.statement_position if reply.error else None
            if position and int(position) > piece.added:
                reply.before += piece.shift
            return Attempt([] if reply.error else [reply.outcome(started)], sent, reply)

        try:
            return self.runner.retried(header.lock_timeout, attempt)[0]
        except StatementError as error:
            error.started = True
            raise
