"""A migration run on scratch databases, statement by statement, to observe each.

It runs in two identical copies. In the first, in the transaction that apply would use: this shows the locks held while a
statement runs, and its work. In the second, each statement is committed by itself: this shows the locks it takes even where
an earlier statement holds them already. The catalog is read in the second copy, since reading takes locks.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import psycopg

from pgyoyo.catalog import snapshot
from pgyoyo.catalog.snapshot import Change
from pgyoyo.engine import failures, partitions, retry, wire
from pgyoyo.engine.commits import is_code
from pgyoyo.engine.message import RESET, Message, Step, compose
from pgyoyo.engine.partition_tree import Piece
from pgyoyo.engine.wire import Reply
from pgyoyo.errors import PgyoyoError
from pgyoyo.review import called, catalog_facts, observation
from pgyoyo.review.catalog_facts import Facts
from pgyoyo.review.evidence import only_own, still_empty, without_empty
from pgyoyo.review.isolated import IsolatedCopy
from pgyoyo.review.observation import CatalogEntry, RelationNames, State, strong_locks
from pgyoyo.review.sheet import FAILED, NOT_REACHED, RAN, Lock, ObservedStatement, Relation, Work
from pgyoyo.review.tracing import Tracer
from pgyoyo.scratch.absent import ways_out
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.sql.header import Header
from pgyoyo.sql.intent import Intent, intent_of
from pgyoyo.sql.script import Statement


class Rehearsal:
    """One file on its way through the two copies; `statements` are those observed so far.

    `last` is the rehearsal since which nothing has changed in the copies: what it read last need not be read again.
    """

    def __init__(
        self, copy: ScratchDatabase, isolated: IsolatedCopy, step: Step, last: "Rehearsal | None" = None,
        made: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        self.copy = copy
        self.isolated = isolated
        self.step = step
        self.names: RelationNames = RelationNames(copy.conn, last.names.now if last else None, made)
        self._made = made
        self._before = last.after if last and not last.isolated.alike else catalog_facts.read(isolated.reader_for(copy))
        self.after: catalog_facts.State = self._before
        self.statements: list[ObservedStatement] = []
        self.error: psycopg.Error | None = None
        self.beside: Mapping[int, bytes] = {}  # what runs in the place of the statement that begins there

    @property
    def failed(self) -> bool:
        """Whether a statement, or the COMMIT, failed."""
        return any(statement.state != RAN for statement in self.statements)

    def run(self) -> None:
        """Run the statements up to the first error; those after it are not reached.

        After an error a transactional file leaves nothing behind, any other file what ran before.
        """
        if self.step.file.header.transactional:
            self._in_transaction()
        else:
            self._outside()
        for number in range(len(self.statements), len(self.step.script.statements)):
            self.statements.append(replace(self._blank(number + 1), state=NOT_REACHED))
        self.isolated.end()
        if self.failed or not self.step.file.header.transactional:
            self.names.look(self.copy.conn)
        if not self.failed:
            self.after = catalog_facts.read(self.isolated.reader_for(self.copy))

    def facts(self) -> Facts | None:
        """The catalog before and after the migration; None if it failed."""
        version = self.copy.conn.info.server_version
        return None if self.failed else Facts(self._before.without(self._made), self.after, version)

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
        if self._together(1, len(script.statements)) and (reply := wire.send(conn, sent.tail.encode())).error:
            self._fail(reply, sent)

    def _together(self, first: int, last: int) -> bool:
        """Run the statements from one number to another in the open transaction; False at an error, which is noted."""
        conn, script = self.copy.conn, self.step.script
        before = observation.state(conn)
        held: dict[tuple[int, str], Lock] = {}
        for number, statement in enumerate(script.statements[first - 1 : last], start=first):
            text, copies = self._sent(statement)
            was, started = self.names.now, time.monotonic()
            reply = wire.send(conn, text, copies)
            duration = (time.monotonic() - started) * 1000
            if reply.error:
                self._fail(reply, Message((), (), self.step.file, script, statement))
                return False
            after = observation.state(conn)
            undone = statement.name.upper().startswith("ROLLBACK")  # files of tables are the former ones again
            if undone or after.catalog != before.catalog:
                self.names.look(conn)
            was = self.names.now if undone else was
            asks = intent_of(text)
            work = self._work(before, after, was, text, asks)
            fresh = after.locks - before.locks
            taken = self.names.locks(fresh, number, last)
            takes = self.names.locks(after.locks, number, number)
            trial = self.isolated.trial(text, copies, asks, statement.name, takes, strong_locks(held.values()))
            work = self.isolated.grown(work, trial, text, asks)
            alone = self.isolated.run(text, copies, number)
            work = only_own(work, alone[0]) if alone else work
            if (work.rewritten or work.built or work.scanned) and not work.emptied:
                work = without_empty(work, still_empty(self.statements[first - 1 :]))
            self.statements.append(replace(
                self._blank(number), taken=taken, alone=alone and alone[0],
                held=strong_locks(held.values()), work=replace(work, duration=duration),
                changes=alone[1] if alone else self._changes(before, after), lock_timeout=before.lock_timeout,
                trial=trial,
            ))  # fmt: skip
            for key in held.keys() - after.locks:  # ROLLBACK TO a savepoint releases them
                self._release(held.pop(key), number)
            held |= {key: lock for key in fresh for lock in self.names.locks([key], number, last)}
            before = after
        return True

    def _release(self, lock: Lock, number: int) -> None:
        """Note that a lock ended with that statement."""
        taker = self.statements[lock.taken - 1]
        taken = (replace(held, until=number) if held == lock else held for held in taker.taken)
        self.statements[lock.taken - 1] = replace(taker, taken=tuple(taken))

    def _changes(self, before: State, after: State) -> tuple[Change, ...]:
        """The catalog changes of a statement that can't run by itself, read in the open transaction."""
        return () if before.catalog == after.catalog else self.isolated.since_last(snapshot.snapshot(self.copy.conn))

    # --- statement by statement ------------------------------------------------------------------------------------

    def _outside(self) -> None:
        conn, script, header = self.copy.conn, self.step.script, self.step.file.header
        conn.execute(f"SET statement_timeout = {header.statement_timeout or 0}".encode())
        for number, statement in enumerate(script.statements, start=1):
            if statement.block:
                if len(self.statements) < number and not self._block(number, len(statement.block)):
                    return
                continue
            text, copies = self._sent(statement)
            sent: list[bytes] = []
            if pieces := self._pieces(text, begun=False):
                reply, locks, work, sent = self._in_pieces(statement, text, pieces)
            elif statement.needs_autocommit or is_code(statement):
                reply, locks, work = self._traced(statement, text, copies)
            else:
                reply, locks, work = self._committed(text, copies)
            if reply.error:
                self._fail(reply, Message((), (), self.step.file, script, statement))
                return
            alone, trial = None, None
            if not (statement.needs_autocommit or pieces):
                asks = intent_of(text)
                takes = self.names.locks(locks, number, number)
                trial = self.isolated.trial(text, copies, asks, statement.name, takes, ())
                work = self.isolated.grown(work, trial, text, asks)
            if pieces:
                for each in sent:
                    self.isolated.follow(each, copies)
            elif statement.needs_autocommit:
                self.isolated.follow(text, copies)
            else:
                alone = self.isolated.run(text, copies, number)
            taken = self.names.locks(locks, number, number) or (alone[0] if alone else ())
            self.copy.changed()
            changes = self.isolated.since_last(self.copy.snapshot())
            self.statements.append(replace(
                self._blank(number), taken=taken, alone=taken, work=work, changes=alone[1] if alone else changes,
                lock_timeout=_lock_timeout(statement, header, in_pieces=bool(pieces)), trial=trial,
            ))  # fmt: skip
        conn.execute(";".join(RESET).encode())

    def _block(self, first: int, count: int) -> bool:
        """Run the statements of a BEGIN … COMMIT; False at an error, which is noted."""
        conn = self.copy.conn
        conn.execute(
            f"BEGIN; SET LOCAL lock_timeout = {next(retry.tries(self.step.file.header.lock_timeout))[0]}".encode()
        )
        if not self._together(first, first + count - 1):
            return False
        if (reply := wire.send(conn, b"COMMIT")).error:
            self._fail(reply, Message((), (), self.step.file, self.step.script), at_the_end=True)
        self.copy.changed()
        return not reply.error

    def _pieces(self, text: bytes, *, begun: bool = True) -> list[Piece]:
        """What apply sends in place of a statement on a partitioned table."""
        try:
            return partitions.pieces(self.copy.conn, text, begun=begun) or []
        except ValueError:
            return []  # the statement itself fails

    def _in_pieces(
        self, statement: Statement, text: bytes, pieces: Sequence[Piece]
    ) -> tuple[Reply, Iterable[tuple[int, str]], Work, list[bytes]]:
        """Run a statement partition by partition: all the locks, the work on the last partition, and what was sent."""
        every: set[tuple[int, str]] = set()
        sent: list[bytes] = []
        left = pieces[:1]  # as apply does: it shows what the rest is compared with
        while left:
            for piece in left:
                sent.append(piece.text.encode())
                alone = b"CONCURRENTLY" in sent[-1].split(b"(")[0]
                reply, locks, work = self._traced(statement, sent[-1], []) if alone else self._committed(sent[-1], [])
                if reply.error:
                    return reply, (), work, sent
                every |= set(locks)
            left = self._pieces(text)
        return reply, every, work, sent

    def _traced(
        self, statement: Statement, text: bytes, copies: list[memoryview]
    ) -> tuple[Reply, Iterable[tuple[int, str]], Work]:
        """Run a statement that can't be in a transaction, or may end it, observed from another session."""
        conn, target = self.copy.conn, statement.target
        tables = [target.table or target.index or ""] if target else intent_of(text).names
        before, was, started = observation.between(conn), self.names.now, time.monotonic()
        reply, locks = Tracer(self.copy.conninfo).run(
            conn, text, copies, tables, writes=target is not None or not statement.needs_autocommit
        )
        duration = (time.monotonic() - started) * 1000
        if reply.error:
            return reply, (), Work()
        # After the statement, so that the locks of the tracer don't count.
        self.names.look(conn)
        work = observation.work(before, observation.between(conn), was, self.names, truncates=False)
        return reply, locks, replace(work, duration=duration)

    def _committed(self, text: bytes, copies: list[memoryview]) -> tuple[Reply, Iterable[tuple[int, str]], Work]:
        """Run a statement in a transaction of its own."""
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
        work = self._work(before, after, was, text, intent_of(text))
        reply = wire.send(conn, b"COMMIT")
        return reply, after.locks, replace(work, duration=duration)

    def _work(self, before: State, after: State, was: Mapping[int, CatalogEntry], text: bytes, asks: Intent) -> Work:
        checks = asks.any("validate", "add foreign key", "add column foreign key")
        truncates = was is not self.names.now and called.truncates(text.decode(errors="replace"), asks, self.copy.conn)
        validates = asks.target if checks else None
        return observation.work(before, after, was, self.names, truncates=truncates, validates=validates)

    def _sent(self, statement: Statement) -> tuple[bytes, list[memoryview]]:
        """What is sent for a statement: its text, or what runs in its place, and the data of a COPY … FROM stdin."""
        data = memoryview(self.step.file.data)
        text = self.beside.get(statement.start, self.step.script.text(statement))
        return text, [data[slice(*part.data)] for part in statement.parts if part.data]

    def _blank(self, number: int) -> ObservedStatement:
        """A statement of which nothing was observed yet."""
        script, statement = self.step.script, self.step.script.statements[number - 1]
        text = script.text(statement).decode(errors="replace").replace("\r\n", "\n")
        return ObservedStatement(number, self.step.file.line(script.line(statement.start)), text, statement.name)

    def _fail(self, reply: Reply, sent: Message, *, at_the_end: bool = False) -> None:
        """Note an error at the next statement, or, if the COMMIT failed, at the last; the transaction ends."""
        if reply.lost:
            raise PgyoyoError(f"the scratch server: the connection was lost: {str(reply.error).strip()}")
        wire.clear(self.copy.conn)
        assert reply.error
        self.error = reply.error
        at_the_end = at_the_end or len(self.statements) == len(self.step.script.statements)
        failed = self.statements.pop() if at_the_end else self._blank(len(self.statements) + 1)
        error = "\n".join(filter(None, (str(failures.statement_error(sent, reply)), ways_out(reply.error))))
        self.statements.append(replace(failed, state=FAILED, error=error, sqlstate=reply.error.sqlstate))


def _lock_timeout(statement: Statement, header: Header, *, in_pieces: bool) -> int:
    """How long one try of a statement outside a transaction waits for a lock that shuts others out; milliseconds."""
    if not in_pieces and (statement.needs_autocommit or is_code(statement)):
        return header.lock_timeout or 0
    return next(retry.tries(header.lock_timeout))[0]
