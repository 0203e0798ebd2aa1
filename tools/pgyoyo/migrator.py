"""Status, apply, roll back: where the parts come together."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pgyoyo.engine import drift, ledger, lock
from pgyoyo.engine.ledger import progress_words
from pgyoyo.errors import RollbackRefusedError, UsageError
from pgyoyo.migrations import plan
from pgyoyo.migrations.migration import Folders, Migration
from pgyoyo.migrations.plan import Applied, Comparison
from pgyoyo.migrations.reader import from_texts

if TYPE_CHECKING:
    from psycopg import Connection

    from pgyoyo.backfill.pacing import Limits
    from pgyoyo.console import Console
    from pgyoyo.engine.ledger import Progress
    from pgyoyo.engine.wire import Outcome
    from pgyoyo.yoyo_backend import Backend


@dataclass(slots=True)
class Migrator:
    """One database and one set of folders; seconds for `wait` and `give_up_after`.

    `strict` refuses late and missing files; `single` puts a whole run into one transaction; `dry` prints what would be
    sent instead of sending it.
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

    def compare(self) -> tuple[Comparison, ledger.Ledger]:
        """Files held against ledger; writes nothing."""
        schema = self._backend.schema_name if self._backend else None
        found = ledger.read(self.conn, schema=schema, known=[m.hash for m in self.folders.migrations])
        return plan.compare(self.folders.migrations, found.applied), found

    def apply(self, *, target: str | None = None) -> int:
        """Apply what is pending, up to and with `target`; the number applied.

        Nothing has run when it raises DefectsError, DriftError, UsageError or LockedError. On MigrationError what was
        committed before stays applied, and the text says so.
        """
        comparison, found = self.compare()
        if target is not None:
            target = plan.find(target, self._known_ids(comparison))
        drift.edits(self.conn, found, comparison.edited)
        self._warn(drift.order(comparison, strict=self.strict))
        chosen = plan.to_apply(comparison, target=target)
        if not chosen:
            self._sweep(found)
            up_to = f" up to {target}" if target else ""
            self.console.result(f"nothing to do{up_to}: " + summary(len(comparison.applied), len(comparison.pending)))
            return 0
        drift.scripts([*chosen, *self.folders.hooks])
        count = 0
        while chosen:
            if count:
                self._reconnect()
            with self.running() as backend:
                # Another runner may have been at work until we had the lock.
                comparison, _ = self.compare()
                chosen = plan.to_apply(comparison, target=target)
                now = chosen if self.single or self.dry else _up_to_new_defaults(chosen)
                done = self._run(backend, now, "apply", comparison)
                count, chosen = count + len(done), chosen[len(now) :]
                for hook in self.folders.hooks if count and not chosen else ():
                    self._run(backend, [hook], "hook", self.compare()[0])
        if not self.dry:
            self.console.result(summary(len(comparison.applied) + len(done), len(comparison.pending) - len(done)))
        return count

    def rollback(
        self, *, ids: Sequence[str] = (), target: str | None = None, count: int | None = None, everything: bool = False
    ) -> list[str]:
        """Roll back the ids, all after `target`, the last `count`, all, or the last one; the ids rolled back.

        Nothing has run when it raises RollbackRefusedError, DriftError, UsageError or LockedError; on MigrationError as
        for apply.
        """
        comparison, found = self.compare()
        ids = [self.find_applied(name, comparison) for name in ids]
        target = None if target is None else self.find_applied(target, comparison)
        if not comparison.applied:
            self._sweep(found)
            self.console.result("nothing to do: no migration is applied")
            return []
        with self.running() as backend:
            comparison, found = self.compare()
            chosen = plan.to_roll_back(
                comparison.applied,
                self.depends(comparison, found),
                ids=ids,
                target=target,
                count=count,
                everything=everything,
            )
            going = [self.migration_of(row, found) for row in chosen]
            hashes = {row.hash for row in chosen}
            drift.edits(self.conn, found, [m for m in comparison.edited if m.hash in hashes])
            drift.rollbacks(going)
            self._show_stored(going)
            done = self._run(backend, going, "rollback", comparison)
        if self.dry:
            return []
        if not done:
            self.console.result(f"nothing to do: no migration is applied after {target}")
        else:
            left = len(comparison.applied) - len(done)
            self.console.result(f"{left} still applied." if left else "nothing is applied any more.")
        return done

    def redo(self, *, count: int = 1) -> None:
        """Roll back the last `count` migrations and apply them again, as they are on disk now; raises as both do."""
        comparison, _ = self.compare()
        here = {m.hash for m in self.folders.migrations}
        going = comparison.applied[-count:]
        for row in going:
            if row.hash not in here:
                raise UsageError(f"{row.id} has no file here, so it could not be applied again; roll it back instead")
        if not going:
            self.console.result("nothing to do: no migration is applied")
            return
        with self.running() as backend:
            comparison, found = self.compare()
            files = [self.migration_of(row, found) for row in reversed(going)]
            drift.rollbacks(files)
            drift.scripts(files)
            self._run(backend, files, "rollback", comparison)
            self._run(backend, files[::-1], "apply", self.compare()[0])
        self.console.result(summary(len(comparison.applied), len(comparison.pending)))

    def find_applied(self, name: str, comparison: Comparison) -> str:
        """The applied id that `name` means; raises UsageError."""
        try:
            return plan.find(name, [row.id for row in comparison.applied])
        except UsageError:
            here = plan.find(name, [m.id for m in self.folders.migrations])
            raise UsageError(f"{here} is not applied; `pgyoyo status` shows what is") from None

    def migration_of(self, row: Applied, found: ledger.Ledger, *, as_applied: bool = False) -> Migration:
        """The migration of a ledger row: from its file, or from the stored text where the file is gone.

        `as_applied` takes the stored text also where the file was edited since. Raises RollbackRefusedError where the
        text is not known.
        """
        for migration in self.folders.migrations:
            if migration.hash == row.hash and not (as_applied and plan.edited(migration, row)):
                return migration
        assert found.schema
        texts = ledger.execute(self.conn, "texts", found.schema, {"hash": row.hash}) if row.checksum else ()
        if not texts or texts[0][0] is None:
            raise RollbackRefusedError(
                f"{row.id} has no file here, and its text is not in the ledger; restore {row.id}.sql and its rollback file"
            )
        return from_texts(row.id, *texts[0])

    @contextmanager
    def running(self) -> Iterator[Backend]:
        """yoyo's backend, the lock held; for a dry run without a lock, and nothing is written."""
        from pgyoyo.yoyo_backend import Backend  # noqa: PLC0415 - yoyo's import costs more than a run with nothing to do

        if self._backend:
            yield self._backend
            return
        # The reset after each migration takes away what psycopg prepared on a connection of the caller's.
        self.conn.prepare_threshold = None
        backend = Backend(self.conn)
        backend.schema_name = self.compare()[1].schema
        backend.say = self.console.note
        backend.give_up_after = self.give_up_after
        backend.limits = self.limits or backend.limits
        backend.show = self._show_backfill
        if self.dry:
            backend.pretend()
            yield backend
            return
        with backend.lock(self.wait):
            self._backend = backend
            try:
                yield backend
            finally:
                self._backend = None

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _sweep(self, found: ledger.Ledger) -> None:
        """Leave no lock row of a dead runner behind, even if there is nothing to do."""
        if found.schema and not self.dry:
            lock.sweep(self.conn, found.schema)

    def _reconnect(self) -> None:
        """A new session: the settings of a role or of the database reach only those that begin after them."""
        from pgyoyo.engine import connection  # noqa: PLC0415 - psycopg is not for this module to know

        conninfo = connection.again(self.conn.info)
        self.conn.close()
        self.conn = connection.connect(conninfo)

    def _run(self, backend: Backend, chosen: Sequence[Migration], operation: str, comparison: Comparison) -> list[str]:
        """Apply or roll back (or run as a hook) what was chosen, one transaction each or all in one; the ids done."""
        from pgyoyo.outcome import explaining  # noqa: PLC0415 - as in running

        way, mark = ("apply", False) if operation == "hook" else (operation, True)
        if self.single:
            self._warn(drift.single(chosen, way))
        if self.dry:
            self._preview(backend, chosen, way, mark=mark)
            return []
        groups = [list(chosen)] if self.single and chosen else [[one] for one in chosen]
        done: list[str] = []
        for one in chosen if operation == "apply" else ():
            if one.apply.empty:
                self.console.warn(f"{one.apply.path} has no statement; it will count as applied all the same")
        verb = {"apply": "applied", "rollback": "rolled back", "hook": "ran"}[operation]
        unsaid: deque[tuple[Migration, Outcome]] = deque()

        def say() -> None:
            while unsaid:
                one, outcome = unsaid.popleft()
                self.console.ran(
                    verb, one.id, outcome.duration, title=one.apply.header.title, notices=outcome.notices,
                    tables=outcome.tables,
                )  # fmt: skip

        try:
            for group, following in zip(groups, [*groups[1:], []], strict=False):
                backend.progress = self.console.progress(f"{way} {group[0].id}")
                with explaining(group, operation, comparison, done):
                    # What was committed is said while the server is at work on the next.
                    outcomes = backend.run(
                        group, way, mark=mark, batched=not self.single, following=following, meanwhile=say
                    )
                done += [one.id for one in group]
                unsaid.extend(zip(group, outcomes, strict=True))
        finally:
            say()
        return done

    def _preview(self, backend: Backend, chosen: Sequence[Migration], way: str, *, mark: bool) -> None:
        from pgyoyo.engine import transaction  # noqa: PLC0415 - as in running

        groups = [list(chosen)] if self.single and chosen else [[one] for one in chosen]
        if way == "apply" and ledger.read(self.conn).schema is None:
            self.console.answer(f"-- the ledger\nBEGIN;\n{backend.creation()};\nCOMMIT;\n")
        for group in groups:
            steps = [backend.step(one, way, mark=mark, number=number) for number, one in enumerate(group)]
            if steps[0].file.header.backfill and not self.single:
                self.console.answer(f"-- {way} {group[0].id}: {steps[0].file.path}, in batches such as this one")
                self.console.answer(backend.backfill(group[0], steps[0]).preview())
            elif steps[0].file.header.transactional:
                for one, sent in zip(group, transaction.messages(steps), strict=True):
                    self.console.answer(f"-- {way} {one.id}: {sent.file.path}\n{sent.for_psql()}")
            else:
                self.console.answer(f"-- {way} {group[0].id}: {steps[0].file.path}, statement by statement")
                self.console.answer(backend.journal(group[0], way).preview())

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

    def _show_backfill(self, progress: Progress, reason: str) -> None:
        words = progress_words(progress) + (f"  {reason}" if reason else "")
        self.console.backfill(progress.migration_id, progress.fraction, words)

    def _known_ids(self, comparison: Comparison) -> list[str]:
        return list(dict.fromkeys([m.id for m in self.folders.migrations] + [row.id for row in comparison.applied]))

    def depends(self, comparison: Comparison, found: ledger.Ledger) -> Mapping[str, Sequence[str]]:
        """What each migration depends on, by id; of one whose file is gone, as it was when it was applied."""
        here = {m.id: m.depends for m in self.folders.migrations}
        return here | {row.id: self.migration_of(row, found).depends for row in comparison.missing if row.checksum}


def _up_to_new_defaults(chosen: Sequence[Migration]) -> Sequence[Migration]:
    """The migrations up to the first after which a new session is needed."""
    for number, migration in enumerate(chosen, start=1):
        if migration.apply.may_change_defaults:
            return chosen[:number]
    return chosen


def summary(applied: int, pending: int) -> str:
    """The last line of a status."""
    if not pending:
        return f"{applied} applied, none pending."
    return f"{applied} applied, {pending} pending; next: pgyoyo apply"
