"""Status, apply, roll back: where the parts come together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import unified_diff
from typing import TYPE_CHECKING

from pgyoyo import ledger, plan
from pgyoyo.errors import (
    ConnectionLostError,
    Defect,
    DefectsError,
    DriftError,
    MigrationError,
    RollbackRefusedError,
    StatementError,
    UsageError,
)
from pgyoyo.migration import File, Folders, Migration, from_texts
from pgyoyo.plan import Applied, Comparison
from pgyoyo.report import several

if TYPE_CHECKING:
    from psycopg import Connection

    from pgyoyo.backend import Backend
    from pgyoyo.report import Report


@dataclass(slots=True)
class Migrator:
    """One database and one set of folders; seconds for `wait` and `give_up_after`."""

    conn: Connection
    folders: Folders
    report: Report
    wait: float = 60.0
    give_up_after: float = 600.0
    strict: bool = False
    _backend: Backend | None = field(default=None, init=False)

    def compare(self) -> tuple[Comparison, ledger.Ledger]:
        """Files held against ledger; writes nothing."""
        found = ledger.read(self.conn)
        return plan.compare(self.folders.migrations, found.applied), found

    def apply(self, *, target: str | None = None) -> int:
        """Apply what is pending, up to and with `target`; the number applied.

        Nothing has run when it raises DefectsError, DriftError, UsageError or LockedError. On MigrationError what was
        committed before stays applied, and the text says so.
        """
        comparison, _ = self.compare()
        if target is not None:
            target = plan.find(target, self._known_ids(comparison))
        self._refuse_differences(comparison)
        chosen = plan.to_apply(comparison, target=target)
        if not chosen:
            self.report.result(f"nothing to do: {len(comparison.applied)} applied, none pending" + _up_to(target))
            return 0
        self.check([*chosen, *self.folders.hooks])
        with self._running() as backend:
            # Another runner may have been at work until we had the lock.
            comparison, _ = self.compare()
            self._refuse_differences(comparison)
            chosen = plan.to_apply(comparison, target=target)
            done: list[str] = []
            for migration in chosen:
                with self._explaining(migration.id, "apply", comparison, done):
                    backend.apply_one(migration)
                done.append(migration.id)
                self.report.ran("applied", migration.id, backend.outcome)
            for hook in self.folders.hooks if done else ():
                with self._explaining(hook.id, "hook", comparison, done):
                    backend.apply_one(hook, mark=False)
                self.report.ran("ran", hook.id, backend.outcome)
        pending = len(comparison.pending) - len(done)
        self.report.result(f"{len(comparison.applied) + len(done)} applied, {pending or 'none'} pending.")
        return len(done)

    def rollback(
        self, *, ids: Sequence[str] = (), target: str | None = None, count: int | None = None, everything: bool = False
    ) -> int:
        """Roll back the ids, all after `target`, the last `count`, all, or the last one; the number rolled back.

        Nothing has run when it raises RollbackRefusedError, DriftError, UsageError or LockedError; on MigrationError as
        for apply.
        """
        with self._running() as backend:
            comparison, found = self.compare()
            known = [row.id for row in comparison.applied]
            chosen = plan.to_roll_back(
                comparison.applied,
                self._depends(comparison, found),
                ids=[self._find_applied(name, known) for name in ids],
                target=None if target is None else self._find_applied(target, known),
                count=count,
                everything=everything,
            )
            going = [self._migration_of(row, found) for row in chosen]
            hashes = {row.hash for row in chosen}
            self._refuse_edits([m for m in comparison.edited if m.hash in hashes])
            self._check_rollbacks(going)
            done: list[str] = []
            for migration in going:
                with self._explaining(migration.id, "rollback", comparison, done):
                    backend.rollback_one(migration)
                done.append(migration.id)
                self.report.ran("rolled back", migration.id, backend.outcome)
        if not done:
            self.report.result("nothing to do: no migration is applied" + (f" after {target}" if target else ""))
        else:
            self.report.result(f"{len(comparison.applied) - len(done) or 'none'} still applied.")
        return len(done)

    def check(self, migrations: Iterable[Migration]) -> None:
        """Raises DefectsError with what PostgreSQL's parser finds in both files of each migration, before any runs."""
        defects = [
            defect
            for migration in migrations
            for file in (migration.apply, migration.rollback)
            if file
            for defect in _script_defects(file)
        ]
        if defects:
            raise DefectsError(defects)

    # --- helpers ---------------------------------------------------------------------------------------------------

    def _known_ids(self, comparison: Comparison) -> list[str]:
        return list(dict.fromkeys([m.id for m in self.folders.migrations] + [row.id for row in comparison.applied]))

    def _find_applied(self, name: str, applied: Sequence[str]) -> str:
        try:
            return plan.find(name, applied)
        except UsageError:
            here = plan.find(name, [m.id for m in self.folders.migrations])
            raise UsageError(f"{here} is not applied; `pgyoyo status` shows what is") from None

    @contextmanager
    def _running(self) -> Iterator[Backend]:
        """yoyo's backend, the lock held."""
        from pgyoyo.backend import Backend  # noqa: PLC0415 - yoyo's import costs more than a run with nothing to do

        backend = Backend(self.conn)
        backend.say = self.report.note
        backend.give_up_after = self.give_up_after
        with backend.lock(self.wait):
            yield backend

    @contextmanager
    def _explaining(self, one: str, operation: str, comparison: Comparison, done: Sequence[str]) -> Iterator[None]:
        """Adds to a failure what stands now: style.md says that a message always ends with the state."""
        try:
            yield
        except StatementError as error:
            how = "stopped; its statements so far stay" if error.started else "failed and was rolled back"
            raise MigrationError(f"{error}\n{one} {how}; {_state(operation, comparison, done)}") from None
        except ConnectionLostError as error:
            verb = {"rollback": "rolled back"}.get(operation, "applied")
            what = {
                True: f"looked up afterwards: {one} is {verb}",
                False: f"looked up afterwards: {one} is not {verb}",
                None: f"whether {one} is {verb} could not be looked up; `pgyoyo status` tells",
            }[error.done]
            done = [*done, one] if error.done else done
            raise MigrationError(f"{error}\n{what}; {_state(operation, comparison, done)}") from None

    def _refuse_differences(self, comparison: Comparison) -> None:
        self._refuse_edits(comparison.edited)
        if comparison.late:
            words = (
                f"{several([m.id for m in comparison.late])} sorts before migrations that are applied already; "
                "a new database would get another order"
            )
            if self.strict:
                raise DriftError(f"{words}; give it a later number, or leave --strict out")
            self.report.warn(words)
        if comparison.missing:
            words = f"{several([row.id for row in comparison.missing])} is applied, but has no file here"
            if self.strict:
                raise DriftError(f"{words}; restore the file, or roll it back")
            self.report.warn(words)

    def _refuse_edits(self, edited: Sequence[Migration]) -> None:
        if not edited:
            return
        schema = ledger.read(self.conn).schema
        assert schema
        parts = []
        for migration in edited:
            texts = ledger.execute(self.conn, "texts", schema, {"hash": migration.hash})[0]
            lines = [f"{migration.id} was changed after it was applied"]
            for text, file in zip(texts, (migration.apply, migration.rollback), strict=True):
                lines += _diff(text, file)
            parts.append("\n".join(lines))
        advice = (
            f"Restore the file, or write a new migration; `pgyoyo repair {edited[0].id}` accepts the change as it is."
        )
        raise DriftError("\n".join([*parts, advice]))

    def _depends(self, comparison: Comparison, found: ledger.Ledger) -> Mapping[str, Sequence[str]]:
        here = {m.id: m.depends for m in self.folders.migrations}
        return here | {row.id: self._migration_of(row, found).depends for row in comparison.missing if row.checksum}

    def _migration_of(self, row: Applied, found: ledger.Ledger) -> Migration:
        """The migration of a ledger row: from its file, or, where that is gone, from the stored text."""
        for migration in self.folders.migrations:
            if migration.hash == row.hash:
                return migration
        assert found.schema
        texts = ledger.execute(self.conn, "texts", found.schema, {"hash": row.hash}) if row.checksum else ()
        if not texts or texts[0][0] is None:
            raise RollbackRefusedError(
                f"{row.id} has no file here, and its text is not in the ledger; restore {row.id}.sql and its rollback file"
            )
        return from_texts(row.id, *texts[0])

    def _check_rollbacks(self, going: Sequence[Migration]) -> None:
        from pgyoyo.backend import refuse_empty_rollback  # noqa: PLC0415 - as in _running

        here = {m.hash for m in self.folders.migrations}
        defects: list[Defect] = []
        for migration in going:
            file = refuse_empty_rollback(migration)
            defects += _script_defects(file)
            if migration.hash not in here:
                self.report.warn(f"{migration.id} has no file here; its rollback as stored when it was applied:")
                self.report.note(file.data.decode())
        if defects:
            raise DefectsError(defects)


def _script_defects(file: File) -> Iterator[Defect]:
    from pgyoyo import statements  # noqa: PLC0415 - the parser's import is for runs that have something to run

    for line, words in statements.defects(statements.parse(file.data), transactional=file.header.transactional):
        yield Defect(file.path, line, words)


def _diff(stored: str | None, file: File | None) -> list[str]:
    if stored is None and file is None:
        return []
    before = (stored or "").removeprefix("\ufeff").splitlines()
    after = (file.data.decode("utf-8-sig") if file else "").splitlines()
    name = str(file.path) if file else "(the rollback file, now gone)"
    return list(unified_diff(before, after, "as applied", name, lineterm=""))


def _up_to(target: str | None) -> str:
    return f" up to {target}" if target else ""


def _state(operation: str, comparison: Comparison, done: Sequence[str]) -> str:
    """What is applied and what is pending after a run that ended early, and the command that comes next."""
    applied = [row.id for row in comparison.applied]
    if operation == "rollback":
        remaining = [name for name in applied if name not in done]
        words = (
            f"{several(list(reversed(remaining))) or 'nothing'} remains applied" if remaining else "nothing is applied"
        )
        return f"{words}. Mend the rollback file, then run pgyoyo rollback again."
    applied += done
    pending = [m.id for m in comparison.pending if m.id not in done]
    last = f"{applied[-1]} and earlier remain applied" if len(applied) > 1 else (
        f"{applied[0]} remains applied" if applied else "nothing is applied")  # fmt: skip
    verb = "is" if len(pending) == 1 else "are"
    tail = f"; {several(pending)} {verb} pending" if pending else ""
    return f"{last}{tail}. Then run pgyoyo apply again."
