"""Status, apply, roll back: where the parts come together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from difflib import unified_diff
from typing import TYPE_CHECKING

from pgyoyo import ledger, lock, plan
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
from pgyoyo.report import several, summary

if TYPE_CHECKING:
    from psycopg import Connection

    from pgyoyo.backend import Backend
    from pgyoyo.report import Report


@dataclass(slots=True)
class Migrator:
    """One database and one set of folders; seconds for `wait` and `give_up_after`.

    `strict` refuses late and missing files; `single` puts a whole run into one transaction; `dry` prints what would be
    sent instead of sending it.
    """

    conn: Connection
    folders: Folders
    report: Report
    wait: float = 60.0
    give_up_after: float = 600.0
    strict: bool = False
    single: bool = False
    dry: bool = False
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
        self._refuse_differences(comparison)
        chosen = plan.to_apply(comparison, target=target)
        if not chosen:
            self._sweep(found)
            up_to = f" up to {target}" if target else ""
            self.report.result(f"nothing to do{up_to}: " + summary(len(comparison.applied), len(comparison.pending)))
            return 0
        self._check([*chosen, *self.folders.hooks])
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
                    self._run(backend, [hook], "hook", comparison)
        if not self.dry:
            self.report.result(summary(len(comparison.applied) + len(done), len(comparison.pending) - len(done)))
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
            self.report.result("nothing to do: no migration is applied")
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
            self._refuse_edits([m for m in comparison.edited if m.hash in hashes])
            self._check_rollbacks(going)
            done = self._run(backend, going, "rollback", comparison)
        if self.dry:
            return []
        if not done:
            self.report.result(f"nothing to do: no migration is applied after {target}")
        else:
            left = len(comparison.applied) - len(done)
            self.report.result(f"{left} still applied." if left else "nothing is applied any more.")
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
            self.report.result("nothing to do: no migration is applied")
            return
        with self.running() as backend:
            comparison, found = self.compare()
            files = [self.migration_of(row, found) for row in reversed(going)]
            self._check_rollbacks(files)
            self._check(files)
            self._run(backend, files, "rollback", comparison)
            self._run(backend, files[::-1], "apply", self.compare()[0])
        self.report.result(summary(len(comparison.applied), len(comparison.pending)))

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
        from pgyoyo.backend import Backend  # noqa: PLC0415 - yoyo's import costs more than a run with nothing to do

        if self._backend:
            yield self._backend
            return
        # The reset after each migration takes away what psycopg prepared on a connection of the caller's.
        self.conn.prepare_threshold = None
        backend = Backend(self.conn)
        backend.schema_name = self.compare()[1].schema
        backend.say = self.report.note
        backend.give_up_after = self.give_up_after
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
        from pgyoyo import connection  # noqa: PLC0415 - psycopg is not for this module to know

        conninfo = connection.again(self.conn.info)
        self.conn.close()
        self.conn = connection.connect(conninfo)

    def _run(self, backend: Backend, chosen: Sequence[Migration], operation: str, comparison: Comparison) -> list[str]:
        """Apply or roll back (or run as a hook) what was chosen, one transaction each or all in one; the ids done."""
        way, mark = ("apply", False) if operation == "hook" else (operation, True)
        if self.single:
            self._refuse_single(chosen, way)
        if self.dry:
            self._preview(backend, chosen, way, mark=mark)
            return []
        groups = [list(chosen)] if self.single and chosen else [[one] for one in chosen]
        done: list[str] = []
        for one in chosen if operation == "apply" else ():
            if one.apply.empty:
                self.report.warn(f"{one.apply.path} has no statement; it will count as applied all the same")
        for group in groups:
            backend.progress = self.report.progress(f"{way} {group[0].id}")
            with self._explaining(group, operation, comparison, done):
                outcomes = backend.run(group, way, mark=mark)
            for one, outcome in zip(group, outcomes, strict=True):
                done.append(one.id)
                verb = {"apply": "applied", "rollback": "rolled back", "hook": "ran"}[operation]
                self.report.ran(verb, one.id, outcome, one.apply.header.title)
        return done

    def _preview(self, backend: Backend, chosen: Sequence[Migration], way: str, *, mark: bool) -> None:
        from pgyoyo import runner  # noqa: PLC0415 - as in running

        groups = [list(chosen)] if self.single and chosen else [[one] for one in chosen]
        if way == "apply" and ledger.read(self.conn).schema is None:
            self.report.answer(f"-- the ledger\nBEGIN;\n{backend.creation()};\nCOMMIT;\n")
        for group in groups:
            steps = [backend.step(one, way, mark=mark) for one in group]
            if steps[0].file.header.transactional:
                for one, sent in zip(group, runner.messages(steps), strict=True):
                    self.report.answer(f"-- {way} {one.id}: {sent.file.path}\n{sent.for_psql()}")
            else:
                self.report.answer(f"-- {way} {group[0].id}: {steps[0].file.path}, statement by statement")
                self.report.answer(backend.journal(group[0], way).preview())

    def _refuse_single(self, chosen: Sequence[Migration], way: str) -> None:
        for one in chosen:
            file = one.apply if way == "apply" else one.rollback
            if file and not file.header.transactional:
                raise UsageError(
                    f"{file.path} runs outside of transactions, so it can't be part of a single one; "
                    f"run up to the migration before it with --single-transaction, then it alone"
                )

    def _check(self, migrations: Iterable[Migration]) -> None:
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

    def _known_ids(self, comparison: Comparison) -> list[str]:
        return list(dict.fromkeys([m.id for m in self.folders.migrations] + [row.id for row in comparison.applied]))

    @contextmanager
    def _explaining(
        self, group: Sequence[Migration], operation: str, comparison: Comparison, done: Sequence[str]
    ) -> Iterator[None]:
        """Adds to a failure what stands now, and which command comes next."""
        one = group[0].id
        try:
            yield
        except StatementError as error:
            one = group[error.step].id
            how = "failed and was rolled back"
            if error.started:
                how = "stopped; what its statements did so far stays, and the next run goes on from there"
            if len(group) > 1:
                how += f", and with it all {len(group)} of this run"
            raise MigrationError(f"{error}\n{one} {how}; {_state(operation, comparison, done)}") from None
        except ConnectionLostError as error:
            verb = {"rollback": "rolled back"}.get(operation, "applied")
            what = {
                True: f"looked up afterwards: {one} is {verb}",
                False: f"looked up afterwards: {one} is not {verb}",
                None: f"whether {one} is {verb} could not be looked up; `pgyoyo status` tells",
            }[error.done]
            if operation == "hook":
                what = f"whether {one} ran to its end is not known: see for yourself, and run it by hand if it did not"
            done = [*done, *(m.id for m in group)] if error.done else done
            state = _state(operation, comparison, done, advice="Run again")
            raise MigrationError(f"{error}\n{what}; {state}") from None

    def _refuse_differences(self, comparison: Comparison) -> None:
        self._refuse_edits(comparison.edited)
        if comparison.late:
            verb = "sorts" if len(comparison.late) == 1 else "sort"
            words = (
                f"{several([m.id for m in comparison.late])} {verb} before migrations that are applied already; "
                "a new database would get another order"
            )
            if self.strict:
                raise DriftError(f"{words}; give a later number, or leave --strict out")
            self.report.warn(words)
        if comparison.missing:
            names = several([row.id for row in comparison.missing])
            one = len(comparison.missing) == 1
            words = (
                f"{names} is applied, but has no file here" if one else f"{names} are applied, but have no file here"
            )
            if self.strict:
                raise DriftError(f"{words}; restore the file, or roll back")
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

    def depends(self, comparison: Comparison, found: ledger.Ledger) -> Mapping[str, Sequence[str]]:
        """What each migration depends on, by id; of one whose file is gone, as it was when it was applied."""
        here = {m.id: m.depends for m in self.folders.migrations}
        return here | {row.id: self.migration_of(row, found).depends for row in comparison.missing if row.checksum}

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


def _up_to_new_defaults(chosen: Sequence[Migration]) -> Sequence[Migration]:
    """The migrations up to the first that may change what a session of this role or database begins with."""
    for number, migration in enumerate(chosen, start=1):
        if re.search(rb"(?i)\balter\s+(role|user|database)\b", migration.apply.data):
            return chosen[:number]
    return chosen


def _diff(stored: str | None, file: File | None) -> list[str]:
    if stored is None and file is None:
        return []
    before = (stored or "").removeprefix("\ufeff").splitlines()
    after = (file.data.decode("utf-8-sig") if file else "").splitlines()
    name = str(file.path) if file else "(the rollback file, now gone)"
    return list(unified_diff(before, after, "as applied", name, lineterm=""))


def _state(operation: str, comparison: Comparison, done: Sequence[str], *, advice: str = "") -> str:
    """What is applied and what is pending after a run that ended early, and the command that comes next."""
    applied = [row.id for row in comparison.applied]
    if operation == "rollback":
        remaining = [name for name in applied if name not in done]
        verb = "remains" if len(remaining) == 1 else "remain"
        words = f"{several(remaining[::-1])} {verb} applied" if remaining else "nothing is applied"
        return f"{words}. {advice or 'Mend the rollback file, then run'}: pgyoyo rollback"
    applied += done
    pending = [m.id for m in comparison.pending if m.id not in done]
    last = f"{applied[-1]} and earlier remain applied" if len(applied) > 1 else (
        f"{applied[0]} remains applied" if applied else "nothing is applied")  # fmt: skip
    verb = "is" if len(pending) == 1 else "are"
    tail = f"; {several(pending)} {verb} pending" if pending else ""
    return f"{last}{tail}. {advice or 'Mend the file, then run'}: pgyoyo apply"
