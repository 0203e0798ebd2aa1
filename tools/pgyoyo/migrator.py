"""Status, apply, roll back: where the parts come together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pgyoyo import preflight
from pgyoyo.engine import blockers, connection, drift, ledger, lock
from pgyoyo.engine.renewal import Renewal
from pgyoyo.errors import UsageError
from pgyoyo.history import History
from pgyoyo.migrations import checks, plan
from pgyoyo.migrations.migration import Migration
from pgyoyo.migrations.status import Status
from pgyoyo.work import Worker, show_stored, still_to_do, work_of

if TYPE_CHECKING:
    from pgyoyo.backfill.pacing import Limits
    from pgyoyo.console import Console
    from pgyoyo.engine.blockers import AtWork
    from pgyoyo.executor import Executor
    from pgyoyo.work import Work
    from pgyoyo.yoyo_backend import Backend


@dataclass(slots=True)
class Migrator(History):
    """One database and one set of folders; seconds for `wait` and `give_up_after`.

    `conn` is closed, and another one there, after a run in which a file made a new session necessary for the next.

    `strict` refuses migrations that are out of order, missing or from two branches; `allow_empty` records files without a
    statement as applied; `single` puts a whole run into one transaction; `dry` prints what would be sent instead of sending
    it; `embedded`: the server is the embedded one. `select` takes from what is pending what is to be applied. `schema`,
    quoted where needed, is where the ledger is, or goes, if not where the search_path says.
    """

    console: Console
    wait: float = 60.0
    give_up_after: float = 600.0
    strict: bool = False
    allow_empty: bool = False
    single: bool = False
    dry: bool = False
    embedded: bool = False
    limits: Limits | None = None
    select: Callable[[Sequence[Migration]], list[Migration]] = list
    schema: str | None = None
    # Whether code in the database can see messages, as far as anybody asked.
    sees_messages: bool | None = None
    # The status as the last apply left it.
    after: Status | None = field(default=None, init=False)
    _backend: Backend | None = field(default=None, init=False)
    _unsaid: tuple[str, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        self._unsaid = self.folders.warnings

    def status(self) -> Status:
        """The migrations as files and ledger have them; one query, which writes nothing."""
        schema = self._backend.schema_name if self._backend else self.schema
        read = ledger.read(self.conn, schema=schema, known=self.folders.migrations)
        self._warn((*read.notes, *self._unsaid))
        self._unsaid = ()
        return plan.compare(self.folders.migrations, read)

    def hooks_due(self, status: Status) -> Sequence[Migration]:
        """The hooks that an apply would run although nothing is pending; writes nothing."""
        return self._hooks(status, after=())

    def at_work(self, status: Status) -> AtWork | None:
        """The runner that is at work on this ledger just now, with what it waits for; writes nothing."""
        return blockers.runner(self.conn, ledger.key_of(status.schema)) if status.schema else None

    def apply(self, *, target: str | None = None, seen: Status | None = None) -> int:
        """Apply what is pending, up to and with `target`, then run the hooks; the number applied.

        `seen` is a status that was read just now. Nothing has run when it raises DefectsError, DriftError, UsageError or
        LockedError. On MigrationError what was committed before stays applied, and its state says so.
        """
        status = seen or self.status()
        if target is not None:
            ids = [m.id for m in self.folders.migrations] + [row.id for row in status.applied]
            target = plan.find(target, dict.fromkeys(ids))
        chosen = self._checked(status, target)
        self._warn(preflight.warn_of_unrecorded(self.conn, status, chosen, strict=self.strict, schema=self.schema))
        hooks = self._hooks(status, after=chosen)
        if chosen or hooks:
            self._check(chosen, hooks)
        else:
            self._sweep(status)
            up_to = f" up to {target}" if target else ""
            self.console.result(f"nothing to do{up_to}: {status}")
            self.after = status
            return 0

        before = len(status.applied)

        def choose(status: Status, left: Work | None) -> Work:
            nonlocal before
            if left is None:
                before = len(status.applied)
            # Another runner may have been at work until we had the lock.
            chosen = self._checked(status, target, again=True)
            return [*work_of(chosen, "apply"), *work_of(self._hooks(status, after=chosen), "hook")]

        status = self._run(status, choose)
        if self.dry:
            return 0
        self.after = status
        self.console.result(str(status))
        return len(status.applied) - before

    def rollback(
        self,
        *,
        ids: Sequence[str] = (),
        target: str | None = None,
        count: int | None = None,
        everything: bool = False,
        confirm: Callable[[Sequence[Migration]], bool] = lambda _: False,
    ) -> list[str]:
        """Roll back the ids, all after `target`, the last `count`, all, or the last one; the ids rolled back.

        `confirm` gets what will be rolled back, before the lock is taken, and may raise; where it is true, that and nothing
        else is rolled back. Nothing has run when it raises RollbackRefusedError, DriftError, UsageError or LockedError; on
        MigrationError as for apply.
        """
        status = self.status()
        ids = [self.find_applied(name, status) for name in ids]
        target = None if target is None else self.find_applied(target, status)
        if not status.applied:
            self._sweep(status)
            self.console.result("nothing to do: no migration is applied")
            return []

        def planned(status: Status) -> list[Migration]:
            depends = self.depends(status)
            rows = plan.to_roll_back(
                status.applied, depends, ids=ids, target=target, count=count, everything=everything
            )
            going = [self.migration_of(row, status) for row in rows]
            preflight.refuse_edits(self.conn, status, {row.hash for row in rows})
            checks.rollbacks(going, latest=not ids)
            return going

        going = planned(status)
        if self.single:
            self._warn(checks.single(going, "rollback"))
        is_confirmed = bool(going) and not self.dry and confirm(going)

        def choose(status: Status, left: Work | None) -> Work:
            nonlocal going
            if left is not None:
                return still_to_do(left, status)
            shown, going = going, planned(status)
            if is_confirmed and [migration.id for migration in going] != [migration.id for migration in shown]:
                raise UsageError("another run changed what is applied; look at `pgyoyo status`, then run this again")
            show_stored(self.console, going, {m.hash for m in self.folders.migrations})
            return work_of(going, "rollback")

        after = self._run(status, choose)
        if not going and not self.dry:
            self.console.result(f"nothing to do: no migration is applied after {target}")
        elif not self.dry:
            left = len(after.applied)
            self.console.result(f"{left} still applied." if left else "nothing is applied any more.")
        return [] if self.dry else [migration.id for migration in going]

    def redo(self, *, ids: Sequence[str] = (), count: int = 1) -> None:
        """Roll back the ids, or the last `count`, and apply them again as they are on disk now; raises as both do.

        One whose file had no statement when it was applied is only taken out of the ledger before.
        """
        status = self.status()
        if not status.applied:
            self.console.result("nothing to do: no migration is applied")
            return
        ids = [self.find_applied(name, status) for name in ids]

        def choose(status: Status, left: Work | None) -> Work:
            if left is not None:
                return still_to_do(left, status)
            rows = [row for row in status.applied if row.id in ids] if ids else status.applied[-count:]
            here = {m.hash for m in self.folders.migrations}
            for row in rows:
                if row.hash not in here:
                    raise UsageError(
                        f"{row.id} has no file here, so it could not be applied again; roll it back instead"
                    )
            files = [self.migration_of(row, status) for row in reversed(rows)]
            never_ran = preflight.written_since(self.conn, status, [m for m in status.edited if m in files])
            real = [migration for migration in files if migration not in never_ran]
            if ids and real:
                plan.to_roll_back(status.applied, self.depends(status), ids=[migration.id for migration in real])
            checks.rollbacks(real)
            self._check(files, self.folders.hooks)
            back = [(m, "unmark" if m in never_ran else "rollback") for m in files]
            return [*back, *work_of(files[::-1], "apply"), *work_of(self.folders.hooks, "hook")]

        self.console.result(str(self._run(status, choose)))

    @contextmanager
    def running(self, before: Status) -> Iterator[tuple[Executor, Status]]:
        """What runs files, and the status as it is under the lock; `before` is the one that was read without it.

        In a dry run there is no lock, nothing is written, and the status is the earlier one.
        """
        from pgyoyo.yoyo_backend import Backend  # yoyo's import takes longer than a run with nothing to do

        # The reset after each migration takes away what psycopg prepared on a connection of the caller's.
        self.conn.prepare_threshold = None
        backend = Backend(
            self.conn, schema=before.schema or self.schema, pinned=self.schema is not None, observer=self.console,
            give_up_after=self.give_up_after, limits=self.limits,
        )  # fmt: skip
        if self.dry:
            yield backend.executor, before
            return
        with backend.lock(self.wait):
            self._backend = backend
            backend.executor.sees_messages = self.sees_messages
            try:
                yield backend.executor, plan.compare(self.folders.migrations, backend.ledger)
            finally:
                self.sees_messages = backend.executor.sees_messages
                self._backend = None

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _checked(self, status: Status, target: str | None, *, again: bool = False) -> list[Migration]:
        """What is to be applied; raises DriftError. Warnings come the first time only."""
        preflight.refuse_edits(self.conn, status)
        chosen = self.select(plan.to_apply(status, target=target))
        preflight.refuse_renamed(status, chosen)
        warnings = preflight.warnings(status, plan.order(self.folders.migrations), strict=self.strict)
        if not again:
            self._warn(warnings + drift.likely_renamed(self.conn, status, chosen))
        return chosen

    def _check(self, chosen: Sequence[Migration], hooks: Sequence[Migration]) -> None:
        """Raises DefectsError, ServerError and UsageError for what can't be applied, or run as a hook, as it stands."""
        checks.refuse_python([*chosen, *hooks])
        checks.scripts([*chosen, *hooks], allow_empty=self.allow_empty)
        if self.embedded and not self.dry:
            preflight.refuse_missing_extensions(self.conn, [*chosen, *hooks])
        if self.single:
            self._warn(checks.single([*chosen, *hooks], "apply"))

    def _hooks(self, status: Status, *, after: Sequence[Migration]) -> Sequence[Migration]:
        """The hooks to run: after something was applied, and where the last run did not get to them, or through them."""
        if after or not self.folders.hooks or status.schema is None:
            return self.folders.hooks if after else ()
        return self.folders.hooks if ledger.hooks_are_due(self.conn, status.schema, self.folders.hooks) else ()

    def _sweep(self, status: Status) -> None:
        """Leave no lock row of a dead runner behind, even if there is nothing to do."""
        if status.schema and not self.dry:
            lock.sweep(self.conn, status.schema)

    def _run(self, status: Status, choose: Callable[[Status, Work | None], Work]) -> Status:
        """The status after the work that `choose` finds under the lock, in as many sessions as it needs.

        `choose` is asked again under the lock of each further session, with what was left.
        """
        left: Work | None = None
        renewal = Renewal()
        while left is None or left:
            if left:
                conninfo = connection.to_reconnect(self.conn)
                self.conn.close()
                self.conn = connection.connect(conninfo)
            with self.running(status) as (executor, here):
                left = choose(here, left)
                worker = Worker(executor, self.console, self.single, renewal)
                if self.dry:
                    worker.preview(left, here)
                    return here
                left, status = worker.run(left, here)
        return status

    def _warn(self, warnings: Sequence[str]) -> None:
        for warning in warnings:
            self.console.warn(warning)
