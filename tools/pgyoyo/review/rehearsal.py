"""A migration on scratch databases, one statement after the other, to see what each does.

It runs in two copies of the same database. In the first one in the transaction that apply would use: that shows what is held
while a statement runs, and what it does. In the second one each statement is committed by itself: what it takes shows there
also when an earlier one holds that lock already. The catalog is read there, since reading it takes locks.
"""

import time
from collections.abc import Iterable
from dataclasses import replace

from pgyoyo.catalog import snapshot
from pgyoyo.catalog.snapshot import Change
from pgyoyo.engine import failures, retry, wire
from pgyoyo.engine.message import RESET, Message, Step, compose
from pgyoyo.engine.stepwise import needs_to_be_alone
from pgyoyo.engine.wire import Reply
from pgyoyo.errors import PgyoyoError
from pgyoyo.review import observation
from pgyoyo.review.isolated import Apart
from pgyoyo.review.observation import Names, State
from pgyoyo.review.sheet import FAILED, NOT_REACHED, Lock, Relation, Seen, Work
from pgyoyo.review.tracing import Tracer
from pgyoyo.scratch.copies import Copy
from pgyoyo.sql.header import Header
from pgyoyo.sql.intent import asked
from pgyoyo.sql.script import Statement


class Rehearsal:
    """One file on its way through the two copies; `seen` is what was seen of it so far."""

    def __init__(self, copy: Copy, apart: Apart, step: Step) -> None:
        self.copy = copy
        self.apart = apart
        self.step = step
        self.names = Names(copy.conn)
        self.seen: list[Seen] = []

    @property
    def failed(self) -> bool:
        """Whether a statement, or the COMMIT, failed."""
        return any(one.state != "ran" for one in self.seen)

    def run(self) -> None:
        """Run all statements; behind an error they are not reached.

        After an error nothing is left of a transactional file, and of another one what ran before.
        """
        if self.step.file.header.transactional:
            self._in_transaction()
        else:
            self._outside()
        for number in range(len(self.seen), len(self.step.script.statements)):
            self.seen.append(replace(self._blank(number + 1), state=NOT_REACHED))
        self.apart.end()
        self.names.look(self.copy.conn)

    def invalid(self) -> tuple[Relation, ...]:
        """The indexes that the migration leaves invalid."""
        return self.names.invalid()

    # --- in one transaction ----------------------------------------------------------------------------------------

    def _in_transaction(self) -> None:
        conn, script = self.copy.conn, self.step.script
        [sent] = compose([self.step])
        if (reply := wire.send(conn, sent.head.encode())).error:
            self._fail(reply, sent)
            return
        before = observation.state(conn)
        held: dict[tuple[int, str], Lock] = {}
        for number, statement in enumerate(script.statements, start=1):
            text, copies = script.text(statement), self._copies(statement)
            was, started = self.names.now, time.monotonic()
            reply = wire.send(conn, text, copies)
            duration = (time.monotonic() - started) * 1000
            if reply.error:
                self._fail(reply, Message((), (), self.step.file, script, statement))
                return
            after = observation.state(conn)
            if after.catalog != before.catalog:
                self.names.look(conn)
            work = observation.work(before, after, was, self.names, truncates=_truncates(text))
            fresh = after.locks - before.locks
            taken = self.names.locks(fresh, number, len(script.statements))
            by_itself = self.apart.run(text, copies, number)
            self.seen.append(replace(
                self._blank(number), taken=taken, alone=by_itself and by_itself[0],
                held=_strong(held.values()), work=replace(work, duration=duration),
                changes=by_itself[1] if by_itself else self._changes(before, after), lock_timeout=before.lock_timeout,
            ))  # fmt: skip
            for key in held.keys() - after.locks:  # ROLLBACK TO a savepoint gives them back
                self._release(held.pop(key), number)
            held |= {key: lock for key in fresh for lock in self.names.locks([key], number, len(script.statements))}
            before = after
        if (reply := wire.send(conn, sent.tail.encode())).error:
            self._fail(reply, sent)

    def _release(self, lock: Lock, number: int) -> None:
        """Note that a lock ended with that statement."""
        one = self.seen[lock.taken - 1]
        taken = (replace(had, until=number) if had == lock else had for had in one.taken)
        self.seen[lock.taken - 1] = replace(one, taken=tuple(taken))

    def _changes(self, before: State, after: State) -> tuple[Change, ...]:
        """What a statement changed in the catalog that would not run by itself: read in the open transaction."""
        return () if before.catalog == after.catalog else self.apart.since_last(snapshot.snapshot(self.copy.conn))

    # --- statement by statement ------------------------------------------------------------------------------------

    def _outside(self) -> None:
        conn, script, header = self.copy.conn, self.step.script, self.step.file.header
        conn.execute(f"SET statement_timeout = {header.statement_timeout or 0}".encode())
        for number, statement in enumerate(script.statements, start=1):
            text, copies = script.text(statement), self._copies(statement)
            if needs_to_be_alone(statement):
                reply, locks, work = self._traced(statement, text, copies)
            else:
                reply, locks, work = self._committed(text, copies)
            if reply.error:
                self._fail(reply, Message((), (), self.step.file, script, statement))
                return
            by_itself = None
            if statement.needs_autocommit:
                self.apart.follow(text, copies)
            else:
                by_itself = self.apart.run(text, copies, number)
            taken = self.names.locks(locks, number, number) or (by_itself[0] if by_itself else ())
            self.copy.changed()
            changes = self.apart.since_last(self.copy.snapshot())
            self.seen.append(replace(
                self._blank(number), taken=taken, alone=taken, work=work, changes=by_itself[1] if by_itself else changes,
                lock_timeout=_lock_timeout(statement, header),
            ))  # fmt: skip
        conn.execute(";".join(RESET).encode())

    def _traced(
        self, statement: Statement, text: bytes, copies: list[memoryview]
    ) -> tuple[Reply, Iterable[tuple[int, str]], Work]:
        """Run one that can't be in a transaction, or may end it by itself; seen from another session."""
        conn, target = self.copy.conn, statement.target
        tables = [target.table or target.index or ""] if target else asked(text).names
        before, was, started = observation.between(conn), self.names.now, time.monotonic()
        reply, locks = Tracer(self.copy.conninfo).run(
            conn, text, copies, tables, writes=target is not None or not statement.needs_autocommit
        )
        duration = (time.monotonic() - started) * 1000
        if reply.error:
            return reply, (), Work()
        # The tracer's hold is no part of what it takes.
        self.names.look(conn)
        work = observation.work(before, observation.between(conn), was, self.names, truncates=False)
        return reply, locks, replace(work, duration=duration)

    def _committed(self, text: bytes, copies: list[memoryview]) -> tuple[Reply, Iterable[tuple[int, str]], Work]:
        """Run one in a transaction of its own."""
        conn = self.copy.conn
        conn.execute("BEGIN")
        before, was, started = observation.state(conn), self.names.now, time.monotonic()
        reply = wire.send(conn, text, copies)
        duration = (time.monotonic() - started) * 1000
        if reply.error:
            return reply, (), Work()
        after = observation.state(conn)
        if after.catalog != before.catalog:
            self.names.look(conn)
        work = observation.work(before, after, was, self.names, truncates=_truncates(text))
        reply = wire.send(conn, b"COMMIT")
        return reply, after.locks, replace(work, duration=duration)

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _copies(self, statement: Statement) -> list[memoryview]:
        """The data of a COPY … FROM stdin."""
        return [memoryview(self.step.file.data)[slice(*statement.data)]] if statement.data else []

    def _blank(self, number: int) -> Seen:
        """A statement of which nothing is known yet."""
        script = self.step.script
        statement = script.statements[number - 1]
        text = script.text(statement).decode(errors="replace").replace("\r\n", "\n")
        return Seen(number, script.line(statement.start), text, statement.name)

    def _fail(self, reply: Reply, sent: Message) -> None:
        """Note a refusal at the next statement, or, at the COMMIT, at the last one; the transaction ends."""
        if reply.lost:
            raise PgyoyoError(f"the scratch server: the connection was lost: {str(reply.error).strip()}")
        wire.clear(self.copy.conn)
        assert reply.error
        at_the_end = len(self.seen) == len(self.step.script.statements)
        one = self.seen.pop() if at_the_end else self._blank(len(self.seen) + 1)
        self.seen.append(
            replace(one, state=FAILED, error=str(failures.statement_error(sent, reply)), sqlstate=reply.error.sqlstate)
        )


def _lock_timeout(statement: Statement, header: Header) -> int:
    """How long the journal lets one try of a statement outside a transaction wait; milliseconds."""
    if needs_to_be_alone(statement):
        return header.lock_timeout or 0
    return next(retry.tries(header.lock_timeout))[0]


def _strong(locks: Iterable[Lock]) -> tuple[Lock, ...]:
    """The strong ones, in the order in which they were taken."""
    return tuple(sorted((one for one in locks if one.strong), key=lambda one: (one.taken, one.relation, one.strength)))


def _truncates(text: bytes) -> bool:
    """Whether an empty new file is what it is for."""
    return b"truncate" in text.lower()
