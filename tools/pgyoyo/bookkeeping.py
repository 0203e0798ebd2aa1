"""Changes to the ledger without running a migration: mark, unmark, baseline, repair, rename, settle."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from pgyoyo import preflight
from pgyoyo.engine import ledger
from pgyoyo.errors import UsageError
from pgyoyo.migrations import plan
from pgyoyo.units import several

if TYPE_CHECKING:
    from pgyoyo.executor import Executor
    from pgyoyo.migrations.migration import Migration
    from pgyoyo.migrator import Migrator


def mark(migrator: Migrator, names: Sequence[str]) -> None:
    """Record the migrations as applied without running them; raises UsageError for one that is applied already."""
    with migrator.running(migrator.status()) as (executor, status):
        ids = [plan.find(name, [m.id for m in migrator.folders.migrations]) for name in names]
        pending = {migration.id: migration for migration in status.pending}
        for name in ids:
            if name not in pending:
                raise UsageError(f"{name} is applied already")
        marked = [pending[name] for name in ids]
        preflight.refuse_renamed(status, marked)
        _warn_of_dependencies(migrator, marked, pending.keys() - set(ids))
        executor.record([migration for name, migration in pending.items() if name in ids], "mark")
    for name in ids:
        migrator.console.result(f"marked {name} as applied, without running it")


def take_over(migrator: Migrator, marked: Sequence[Migration], accepted: Sequence[Migration]) -> None:
    """Record the first as applied without running them, and keep the files of the others, which plain yoyo applied.

    Raises UsageError where another run changed the ledger since they were chosen.
    """
    with migrator.running(migrator.status()) as (executor, status):
        pending = {migration.hash for migration in status.pending}
        plain = {row.hash for row in status.applied if row.checksum is None}
        if not ({m.hash for m in marked} <= pending and {m.hash for m in accepted} <= plain):
            raise UsageError("another run changed what is applied; look at `pgyoyo status`, then run this again")
        if marked:
            executor.record(marked, "mark")
        if accepted:
            executor.accept(accepted, ())


def _warn_of_dependencies(migrator: Migrator, marked: Sequence[Migration], pending: Collection[str]) -> None:
    """Warn of what stays pending though a migration that is marked depends on it."""
    for migration in marked:
        if needed := [name for name in migration.depends if name in pending]:
            migrator.console.warn(
                f"{migration.id} depends on {several(needed)}, which {'is' if len(needed) == 1 else 'are'} still pending"
            )


def unmark(migrator: Migrator, names: Sequence[str]) -> None:
    """Take the migrations out of the ledger without rolling them back; raises as a rollback would."""
    with migrator.running(migrator.status()) as (executor, status):
        ids = [migrator.find_applied(name, status) for name in names]
        rows = plan.to_roll_back(status.applied, migrator.depends(status), ids=ids)
        executor.record(rows, "unmark")
    for row in rows:
        migrator.console.result(f"unmarked {row.id}; its objects remain in the database")


def to_baseline(migrator: Migrator, target: str) -> list[Migration]:
    """The migrations that a baseline would record: all that are pending up to and with `target`, which may be applied;
    writes nothing.
    """
    migrations = migrator.folders.migrations
    return plan.to_record(migrations, migrator.status(), plan.find(target, [m.id for m in migrations]))


def repair(migrator: Migrator, names: Sequence[str]) -> None:
    """Accept the files of applied migrations as they are now: their text and checksum replace what was stored."""
    with migrator.running(migrator.status()) as (executor, status):
        files = {migration.id: migration for migration in migrator.folders.migrations}
        ids = [migrator.find_applied(name, status) for name in names]
        for name in ids:
            if name not in files:
                raise UsageError(f"{name} has no file here to accept; restore it, or roll {name} back")
        edited = [migration for migration in status.edited if migration.id in ids]
        if never_ran := preflight.written_since(migrator.conn, status, edited):
            name = never_ran[0].id
            raise UsageError(
                f"{name} was applied while its file had no statement, so what it has now never ran; run it: "
                f"pgyoyo redo {name}"
            )
        known = {row.hash for row in status.applied if row.checksum}
        same = {row.id for row in status.applied if row.checksum} - {migration.id for migration in status.edited}
        executor.accept([files[name] for name in ids if name not in same], known)
    for name in ids:
        words = (
            f"the files of {name} are as they were applied" if name in same else f"accepted the current files of {name}"
        )
        migrator.console.result(words)


def rename(migrator: Migrator, old: str, new: str) -> None:
    """Give an applied migration the id that its file has now; raises UsageError where there is no such pair."""
    with migrator.running(migrator.status()) as (executor, status):
        old = migrator.find_applied(old, status)
        row = next((row for row in status.missing if row.id == old), None)
        if row is None:
            raise UsageError(f"{old} still has its file here; rename the file first")
        pending = {migration.id: migration for migration in status.pending}
        new = plan.find(new, [migration.id for migration in migrator.folders.migrations])
        if new not in pending:
            raise UsageError(f"{new} is applied itself, so {old} can't become it")
        executor.rename(row, pending[new])
    migrator.console.result(f"renamed {old} to {new} in the ledger, without running it")
    if plan.is_edited(pending[new], row):
        migrator.console.warn(
            f"{new} is not what was applied as {old}; if the change does not matter, accept it: pgyoyo repair {new}"
        )


def settle(migrator: Migrator, name: str, *, done: bool) -> None:
    """Resolve the statement that an interrupted run left without an outcome; raises UsageError if there is none."""
    with migrator.running(migrator.status()) as (executor, status):
        open_lines = {line.migration_id: line for line in status.journal if line.state == "started"}
        backfills = {backfill.migration_id: backfill for backfill in status.backfills}
        try:
            known = plan.find(name, [*open_lines, *backfills])
        except UsageError:
            if not (open_lines or backfills):
                raise UsageError(
                    f'"{name}" has no interrupted statement; `pgyoyo status` shows what is interrupted'
                ) from None
            raise
        if known in backfills:
            _begin_again(migrator, executor, known, backfills[known].hash, done=done)
            return
        line = open_lines[known]
        values = {"hash": line.hash, "statement": line.statement, "state": "done" if done else "failed"}
        text = ledger.bind(migrator.conn, "journal_state", executor.schema, values)
        executor.write([text], lambda now: line not in now.journal)
    words = "counts as done" if done else "will run again"
    migrator.console.result(f"statement {line.statement} of {line.migration_id} {words}; next: pgyoyo {line.operation}")


def _begin_again(migrator: Migrator, executor: Executor, name: str, migration_hash: str, *, done: bool) -> None:
    """Forget how far a backfill is; its WHERE passes over the rows that are done."""
    if done:
        raise UsageError(
            f"{name} is a backfill: pgyoyo apply resumes it; if all its rows are right, pgyoyo mark {name} records it"
        )
    text = ledger.bind(migrator.conn, "backfill_clear", executor.schema, {"hash": migration_hash})
    executor.write([text], lambda now: migration_hash not in {backfill.hash for backfill in now.backfills})
    migrator.console.result(f"{name} will begin again at the first page; next: pgyoyo apply")
