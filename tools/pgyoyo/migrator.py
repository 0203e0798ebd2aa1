"""Status, apply, roll back: where the parts come together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pgyoyo import run_state
from pgyoyo.engine import blockers, connection, drift, ledger, lock
from pgyoyo.errors import ConnectionLostError, RollbackRefusedError, StatementError, UsageError
from pgyoyo.migrations import plan
from pgyoyo.migrations.migration import Folders, Migration
from pgyoyo.migrations.reader import from_texts
from pgyoyo.migrations.status import Applied, Status

if TYPE_CHECKING:
    from psycopg import Connection

    from pgyoyo.backfill.pacing import Limits
    from pgyoyo.console import Console
    from pgyoyo.engine.blockers import AtWork
    from pgyoyo.executor import Executor
    from pgyoyo.yoyo_backend import Backend

_VERBS = {"apply": "applied", "rollback": "rolled back", "hook": "ran"}


@dataclass(slots=True)
class Migrator:
    """One database and one set of folders; seconds for `wait` and `give_up_after`.

    `strict` refuses migrations that are out of order or missing; `single` puts a whole run into one transaction; `dry` prints
    what would be sent instead of sending it.
    """

    conn: Connection
    folders: Folders
    console: Console
    wait: float = 60.0
    give_up_after: float = 600.0
    strict: bool = False
    single: bool = False
    dry: bool = False
    limits: Limits | None = None
    _backend: Backend | None = field(default=None, init=False)

    def status(self) -> Status:
        """The migrations as files and ledger have them; one query, which writes nothing."""
        schema = self._backend.schema_name if self._backend else None
        found = ledger.read(self.conn, schema=schema, known=self.folders.migrations)
        self._warn(found.notes)
        return plan.compare(self.folders.migrations, found)

    def at_work(self, status: Status) -> AtWork | None:
        """The runner that is at work on this ledger just now, with what it waits for; writes nothing."""
        return blockers.runner(self.conn, ledger.key_of(status.schema)) if status.schema else None

    def apply(self, *, target: str | None = None) -> int:
        """Apply what is pending, up to and with `target`; the number applied.

        Nothing has run when it raises DefectsError, DriftError, UsageError or LockedError. On MigrationError what was
        committed before stays applied, and its state says so.
        """
        status = self.status()
        if target is not None:
            target = plan.find(target, self._known_ids(status))
        chosen = self._checked(status, target)
        if not chosen:
            self._sweep(status)
            up_to = f" up to {target}" if target else ""
            self.console.result(f"nothing to do{up_to}: {status}")
            return 0
        count = 0
        while chosen:
            if count:
                self._reconnect()
            with self.running(status) as (executor, status):
                # Another runner may have been at work until we had the lock.
                chosen = self._checked(status, target, again=True)
                now = chosen if self.single or self.dry else _up_to_new_defaults(chosen)
                status = self._run(executor, now, "apply", status)  # noqa: PLW2901 - as above
                count, chosen = count + len(now), chosen[len(now) :]
                for hook in self.folders.hooks if count and not chosen else ():
                    self._run(executor, [hook], "hook", status)
        if self.dry:
            return 0
        self.console.result(str(status))
        return count

    def rollback(
        self, *, ids: Sequence[str] = (), target: str | None = None, count: int | None = None, everything: bool = False
    ) -> list[str]:
        """Roll back the ids, all after `target`, the last `count`, all, or the last one; the ids rolled back.

        Nothing has run when it raises RollbackRefusedError, DriftError, UsageError or LockedError; on MigrationError as
        for apply.
        """
        status = self.status()
        ids = [self.find_applied(name, status) for name in ids]
        target = None if target is None else self.find_applied(target, status)
        if not status.applied:
            self._sweep(status)
            self.console.result("nothing to do: no migration is applied")
            return []
        with self.running(status) as (executor, status):
            rows = plan.to_roll_back(
                status.applied, self.depends(status), ids=ids, target=target, count=count, everything=everything
            )
            going = [self.migration_of(row, status) for row in rows]
            hashes = {row.hash for row in rows}
            drift.refuse_edits(self.conn, status, [m for m in status.edited if m.hash in hashes])
            self._check_rollbacks(going)
            self._show_stored(going)
            after = self._run(executor, going, "rollback", status)
        if self.dry:
            return []
        if not going:
            self.console.result(f"nothing to do: no migration is applied after {target}")
        else:
            left = len(after.applied)
            self.console.result(f"{left} still applied." if left else "nothing is applied any more.")
        return [migration.id for migration in going]

    def redo(self, *, count: int = 1) -> None:
        """Roll back the last `count` migrations and apply them again, as they are on disk now; raises as both do."""
        status = self.status()
        if not status.applied:
            self.console.result("nothing to do: no migration is applied")
            return
        with self.running(status) as (executor, status):
            rows = status.applied[-count:]
            here = {m.hash for m in self.folders.migrations}
            for row in rows:
                if row.hash not in here:
                    raise UsageError(
                        f"{row.id} has no file here, so it could not be applied again; roll it back instead"
                    )
            files = [self.migration_of(row, status) for row in reversed(rows)]
            self._check_rollbacks(files)
            self._check_scripts(files)
            status = self._run(executor, files, "rollback", status)  # noqa: PLW2901 - as above
            status = self._run(executor, files[::-1], "apply", status)  # noqa: PLW2901 - as above
        if not self.dry:
            self.console.result(str(status))

    def find_applied(self, name: str, status: Status) -> str:
        """The applied id that `name` means; raises UsageError."""
        try:
            return plan.find(name, [row.id for row in status.applied])
        except UsageError:
            here = plan.find(name, [m.id for m in self.folders.migrations])
            raise UsageError(f"{here} is not applied; `pgyoyo status` shows what is") from None

    def migration_of(self, row: Applied, status: Status, *, as_applied: bool = False) -> Migration:
        """The migration of a ledger row: from its file, or from the stored text where the file is gone.

        `as_applied` takes the stored text also where the file was edited since. Raises RollbackRefusedError where the
        text is not known.
        """
        for migration in self.folders.migrations:
            if migration.hash == row.hash and not (as_applied and plan.is_edited(migration, row)):
                return migration
        assert status.schema
        texts = ledger.texts(self.conn, status.schema, row.hash) if row.checksum else None
        if not texts or texts[0] is None:
            raise RollbackRefusedError(
                f"{row.id} has no file here, and its text is not in the ledger; restore {row.id}.sql and its rollback file"
            )
        return from_texts(row.id, texts[0], texts[1])

    @contextmanager
    def running(self, before: Status) -> Iterator[tuple[Executor, Status]]:
        """What runs files, and the status as it is under the lock; `before` is the one that was read without it.

        In a dry run there is no lock, nothing is written, and the status is the earlier one.
        """
        from pgyoyo.yoyo_backend import Backend  # yoyo's import takes longer than a run with nothing to do

        # The reset after each migration takes away what psycopg prepared on a connection of the caller's.
        self.conn.prepare_threshold = None
        backend = Backend(
            self.conn, schema=before.schema, observer=self.console, give_up_after=self.give_up_after, limits=self.limits
        )
        if self.dry:
            yield backend.executor, before
            return
        with backend.lock(self.wait):
            self._backend = backend
            try:
                yield backend.executor, plan.compare(self.folders.migrations, backend.ledger)
            finally:
                self._backend = None

    def depends(self, status: Status) -> Mapping[str, Sequence[str]]:
        """What each migration depends on, by id; of one whose file is gone, as it was when it was applied."""
        here = {m.id: m.depends for m in self.folders.migrations}
        return here | {row.id: self.migration_of(row, status).depends for row in status.missing if row.checksum}

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _checked(self, status: Status, target: str | None, *, again: bool = False) -> list[Migration]:
        """What is to be applied; raises DriftError and DefectsError. Warnings and files are checked the first time only."""
        drift.refuse_edits(self.conn, status, status.edited)
        warnings = drift.out_of_order(status, strict=self.strict)
        chosen = plan.to_apply(status, target=target)
        if not again:
            self._warn(warnings)
            self._check_scripts([*chosen, *self.folders.hooks] if chosen else [])
        return chosen

    def _check_scripts(self, migrations: Sequence[Migration]) -> None:
        if migrations:
            from pgyoyo.migrations import checks  # only what runs is checked

            checks.scripts(migrations)

    def _check_rollbacks(self, migrations: Sequence[Migration]) -> None:
        from pgyoyo.migrations import checks  # as above

        checks.rollbacks(migrations)

    def _sweep(self, status: Status) -> None:
        """Leave no lock row of a dead runner behind, even if there is nothing to do."""
        if status.schema and not self.dry:
            lock.sweep(self.conn, status.schema)

    def _reconnect(self) -> None:
        """A new session: the settings of a role or of the database reach only those that begin after them."""
        conninfo = connection.anew(self.conn)
        self.conn.close()
        self.conn = connection.connect(conninfo)

    def _run(self, executor: Executor, chosen: Sequence[Migration], operation: str, status: Status) -> Status:
        """The status after applying, rolling back or running as hooks what was chosen, one transaction each or all in one."""
        way, mark = ("apply", False) if operation == "hook" else (operation, True)
        options = {"mark": mark, "batched": not self.single}
        if self.single and chosen:
            from pgyoyo.migrations import checks  # as above

            self._warn(checks.single(chosen, way))
        groups = [list(chosen)] if self.single and chosen else [[migration] for migration in chosen]
        if self.dry:
            if way == "apply" and status.schema is None:
                self.console.data(f"-- the ledger\nBEGIN;\n{ledger.creation(executor.schema)};\nCOMMIT;\n")
            for group in groups:
                self.console.data("\n".join(executor.preview(group, way, **options)))
            return status
        for migration in chosen if operation == "apply" else ():
            if migration.apply.empty:
                self.console.warn(f"{migration.apply.path} has no statement; it will count as applied all the same")
        for group in groups:
            try:
                outcomes = executor.run(group, way, **options)
            except StatementError as error:
                error.state = run_state.after_failure(error, group, operation, status)
                raise
            except ConnectionLostError as error:
                error.state = run_state.after_loss(error, group, operation, status)
                raise
            if operation != "hook":
                status = run_state.after(status, group, operation)
            for migration, outcome in zip(group, outcomes, strict=True):
                title = migration.apply.header.title
                self.console.ran(
                    _VERBS[operation], migration.id, outcome.duration, title=title,
                    notices=outcome.notices, tables=outcome.tables, more_notices=outcome.more_notices,
                    more_tables=outcome.more_tables,
                )  # fmt: skip
        return status

    def _show_stored(self, going: Sequence[Migration]) -> None:
        """Show the rollbacks that come from the ledger, since nobody can look at them here."""
        here = {m.hash for m in self.folders.migrations}
        for migration in going:
            if migration.hash not in here and migration.rollback:
                self.console.warn(f"{migration.id} has no file here; its rollback as stored when it was applied:")
                self.console.note(migration.rollback.data.decode())

    def _warn(self, warnings: Sequence[str]) -> None:
        for warning in warnings:
            self.console.warn(warning)

    def _known_ids(self, status: Status) -> list[str]:
        return list(dict.fromkeys([m.id for m in self.folders.migrations] + [row.id for row in status.applied]))


def _up_to_new_defaults(chosen: Sequence[Migration]) -> Sequence[Migration]:
    """The migrations up to the first after which a new session is needed."""
    for number, migration in enumerate(chosen, start=1):
        if migration.apply.may_change_defaults:
            return chosen[:number]
    return chosen
