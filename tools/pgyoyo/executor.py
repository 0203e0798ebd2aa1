"""How one file runs: in a transaction, statement by statement, or in batches; and what is written about it."""

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
from psycopg import Connection

from pgyoyo import backfill, engine, sql
from pgyoyo.backfill.pacing import Limits
from pgyoyo.engine import connection, encoding, failures, ledger, ledger_tables, lock, parts, retry, wire
from pgyoyo.engine.blockers import Watcher
from pgyoyo.engine.message import SESSION, Message, Step, compose
from pgyoyo.engine.observer import SILENT, Observer
from pgyoyo.engine.records import Guarded, Records, guarded
from pgyoyo.engine.transaction import Runner
from pgyoyo.engine.wire import Outcome
from pgyoyo.errors import ConnectionLostError, PgyoyoError
from pgyoyo.migrations import plan
from pgyoyo.migrations.migration import Migration
from pgyoyo.migrations.status import Applied, Ledger
from pgyoyo.sql.lexer import mentioned
from pgyoyo.sql.script import plain
from pgyoyo.text import printable_line


@dataclass(slots=True)
class Executor:
    """Runs migrations on one session whose ledger is in `schema` (quoted where needed); seconds for `give_up_after`."""

    conn: Connection
    schema: str
    observer: Observer = SILENT
    give_up_after: float = retry.GIVE_UP_AFTER
    limits: Limits = field(default_factory=Limits)
    watcher: Watcher = field(default_factory=Watcher)
    held: lock.Held = field(default_factory=lock.Held)
    # Whether code that is in the database, or of a file that ran, can see messages; None: nobody asked.
    sees_messages: bool | None = None
    # What records.guarded gives, where it is known.
    guarded: Guarded | None = None
    # The hash of the migration that this run applied last, where it did nothing else since.
    _last: str | None = field(default=None, init=False)
    _is_prepared: bool = field(default=False, init=False)
    _records: Records | None = field(default=None, init=False)

    def run(
        self, migrations: Sequence[Migration], operation: str, *, mark: bool = True, batched: bool = True
    ) -> list[Outcome]:
        """Apply or roll back the migrations in one transaction; one that runs outside a transaction comes alone.

        So does a backfill, unless `batched` is off: then its UPDATE runs as any other statement. `mark` is off for hooks, of
        which only the log has a row. Raises StatementError and ConnectionLostError.
        """
        self.prepare()
        self.look_for_code()
        first = migrations[0]
        steps = self._steps(migrations, operation, mark=mark)
        self._last = None
        outcomes = self._run(first, steps, operation, mark=mark, batched=batched)
        self.held.times += len(steps)
        self._last = migrations[-1].hash if mark and operation == "apply" else None
        return outcomes

    def _run(
        self, first: Migration, steps: Sequence[Step], operation: str, *, mark: bool, batched: bool
    ) -> list[Outcome]:
        header = steps[0].file.header
        try:
            if header.backfill and mark and batched:
                return [self.backfill(first, steps[0]).run()]
            if not header.transactional:
                return [self.stepwise(first, steps[0], operation).run()]
            return self._runner(first, operation).transaction(steps)
        except ConnectionLostError as error:
            raise self._looked_up(error, first, operation, mark=mark) from None
        except psycopg.Error as error:
            if not wire.leaves_open(self.conn, error):
                raise
            lost = ConnectionLostError(failures.loss_words(error), done=None)
            raise self._looked_up(lost, first, operation, mark=mark) from None

    def _steps(self, migrations: Sequence[Migration], operation: str, *, mark: bool) -> list[Step]:
        """The files that one transaction runs."""
        before = [self._last, *(migration.hash for migration in migrations)]
        return [self.step(m, operation, mark=mark, before=last) for m, last in zip(migrations, before, strict=False)]

    def step(self, migration: Migration, operation: str, *, mark: bool = True, before: str | None = None) -> Step:
        """A file of the migration with its record; sends no more than a question about the ledger.

        `operation` is apply or rollback, `before` the hash of the migration that was applied last, where it is known. Raises
        RollbackRefusedError where there is nothing to roll back with.
        """
        file = migration.apply if operation == "apply" else migration.require_rollback()
        record = self.records.of(migration, operation, mark=mark, before=before)
        script = plain(file.data) if file.header.transactional and not file.header.backfill else None
        if script is None:
            script = sql.parser.parse(file.data, transactional=file.header.transactional)
        server = encoding.of_server(self.conn)
        script = encoding.fitting(script, server) if server else script
        # What one file makes may run in the next ones.
        sees = bool(self.sees_messages) or parts.sees_messages(file.data)
        self.sees_messages = sees or self.sees_messages
        cuts = parts.cuts(script, each=sees) if file.header.transactional else ()
        step = Step(file, script, record, cuts, apart=sees, raw=encoding.is_any(self.conn))
        if server and not mentioned(file.data, (b"encoding", b"names")) and (error := failures.unfit(step, server)):
            raise error
        return step

    def preview(
        self, migrations: Sequence[Migration], operation: str, *, mark: bool = True, batched: bool = True
    ) -> list[str]:
        """What `run` would send, as psql takes it, under a comment that names each file; sends nothing."""
        steps = self._steps(migrations, operation, mark=mark)
        first, header = migrations[0], steps[0].file.header
        title = _title(operation, first, steps[0])
        if header.backfill and mark and batched:
            return [f"{title}, in batches such as this one", self.backfill(first, steps[0]).preview()]
        if not header.transactional:
            return [f"{title}, statement by statement", self.stepwise(first, steps[0], operation).preview()]
        texts: list[Message] = compose(steps)
        return [
            f"{_title(operation, migration, step)}\n{sent.for_psql()}"
            for migration, step, sent in zip(migrations, steps, texts, strict=True)
        ]

    def creation(self) -> str:
        """The statements that make the ledger, where there is none."""
        return ledger_tables.creation(self.conn, self.schema)

    def record(self, migrations: Sequence[Any], operation: str) -> None:
        """Write the ledger for migrations without running them, all or nothing; `operation` is mark or unmark."""
        parts: list[str] = []
        before = None
        for migration in migrations:
            record = self.records.of(migration, operation, before=before)
            parts += record.statements
            before = migration.hash
        hashes = {migration.hash for migration in migrations}
        self.write(parts, lambda now: (hashes <= {row.hash for row in now.applied}) == (operation == "mark"))

    def accept(self, migrations: Sequence[Migration], known: Container[str]) -> None:
        """Keep the texts and checksums of applied migrations as they are now, all or nothing.

        `known` are the hashes whose texts the ledger has; plain yoyo recorded the others.
        """
        texts = [self.records.accepted(migration, known=migration.hash in known) for migration in migrations]
        files = {migration.hash: migration for migration in migrations}
        self.write(
            texts,
            lambda now: (
                not any(
                    row.checksum is None or plan.is_edited(files[row.hash], row)
                    for row in now.applied
                    if row.hash in files
                )
            ),
        )

    def write(self, texts: Sequence[str], is_done: Callable[[Ledger], bool]) -> None:
        """Change the ledger, all or nothing; `is_done` tells from a ledger whether that took place.

        Raises ConnectionLostError, its state what a new session saw.
        """
        try:
            self.conn.execute(";\n".join(["BEGIN", *texts, "COMMIT"]).encode())
        except psycopg.Error as error:
            if not wire.leaves_open(self.conn, error):
                raise
            lost = ConnectionLostError(failures.loss_words(error), done=None)
        else:
            return
        conninfo = connection.to_reconnect(self.conn)
        self.conn.close()
        try:
            with lock.after_loss(conninfo, self.schema, say=self.observer.note) as conn:
                done = is_done(ledger.read(conn, schema=self.schema))
            lost = ConnectionLostError(str(lost), done=done)
            lost.state = (
                "looked up afterwards: it is recorded"
                if done
                else "looked up afterwards: nothing was changed; run it again"
            )
        except PgyoyoError as trouble:
            lost = ConnectionLostError(f"{lost}\n{trouble}", done=None)
            lost.state = "whether it is recorded could not be looked up; `pgyoyo status` shows it"
        raise lost

    def rename(self, row: Applied, migration: Migration) -> None:
        """Give the row of an applied migration the id of its file."""
        self.write(
            [self.records.renamed(row, migration)], lambda now: any(row.hash == migration.hash for row in now.applied)
        )

    def stepwise(self, migration: Migration, step: Step, operation: str) -> Any:
        """A run of a file outside a transaction, with what earlier runs noted in the journal."""
        now = ledger.read(self.conn, schema=self.schema)
        lines = {line.statement: line for line in now.journal if line.hash == migration.hash}
        return engine.stepwise.Stepwise(
            self._runner(migration, operation), migration, step, operation, lines, now.applied
        )

    def backfill(self, migration: Migration, step: Step) -> Any:
        """The backfill of a migration, with the limits of this run and those that its header has."""
        directive = migration.apply.header.backfill
        assert directive
        limits = replace(
            self.limits, triggers=directive.triggers, functions=directive.functions, order=directive.order,
            window=directive.window or self.limits.window,
        )  # fmt: skip
        if directive.target:
            limits = replace(limits, target=directive.target / 1000)
        return backfill.job.Backfill(self._runner(migration, "apply"), migration, step, limits)

    @property
    def records(self) -> Records:
        """What composes the statements that record a migration; asks the server once."""
        if self._records is None:
            known = self.guarded or guarded(self.conn, self.schema)
            self._records = Records(self.conn, self.schema, known)
        return self._records

    def prepare(self) -> None:
        """Give the session its settings, once, in a message of their own."""
        if not (self._is_prepared or getattr(self.conn, "is_prepared", False)):
            self.conn.execute(SESSION.encode())
            self._is_prepared = True

    def look_for_code(self) -> None:
        """Ask the server, once, whether code that is in the database can see messages."""
        if self.sees_messages is None:
            self.sees_messages = parts.database_sees_messages(self.conn)

    def _runner(self, migration: Migration, operation: str) -> Runner:
        return Runner(self.conn, self.schema, migration.id, operation, self.observer, self.give_up_after, self.watcher)

    def _looked_up(
        self, error: ConnectionLostError, migration: Migration, operation: str, *, mark: bool
    ) -> ConnectionLostError:
        """The same error with what a new session found in the ledger, where what ran is recorded there."""
        if not mark:
            return error
        conninfo = connection.to_reconnect(self.conn)
        self.conn.close()
        self.watcher.close()  # in a small pool it could have the only place
        try:
            applied = lock.found_after_loss(conninfo, self.schema, migration.hash, self.observer.note)
        except PgyoyoError as trouble:
            return ConnectionLostError(f"{error}\n{trouble}", done=None)
        return ConnectionLostError(str(error), done=applied == (operation == "apply"))


def _title(operation: str, migration: Migration, step: Step) -> str:
    """The comment above a file; a line break in its name would end it, and psql would run the rest."""
    return f"-- {printable_line(f'{operation} {migration.id}: {step.file.path}')}"
