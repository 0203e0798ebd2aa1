"""Changes to the ledger without running a migration: mark, unmark, baseline, repair, settle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pgyoyo.engine import ledger
from pgyoyo.errors import UsageError
from pgyoyo.migrations import plan

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
        executor.record([migration for name, migration in pending.items() if name in ids], "mark")
    for name in ids:
        migrator.console.result(f"marked {name} as applied, without running it")


def unmark(migrator: Migrator, names: Sequence[str]) -> None:
    """Take the migrations out of the ledger without rolling them back; raises as a rollback would."""
    with migrator.running(migrator.status()) as (executor, status):
        ids = [migrator.find_applied(name, status) for name in names]
        rows = plan.to_roll_back(status.applied, migrator.depends(status), ids=ids)
        executor.record(rows, "unmark")
    for row in rows:
        migrator.console.result(f"unmarked {row.id}; its objects remain in the database")


def to_baseline(migrator: Migrator, target: str) -> list[Migration]:
    """The migrations that a baseline would record: all that are pending up to and with `target`; writes nothing."""
    return plan.to_apply(migrator.status(), target=plan.find(target, [m.id for m in migrator.folders.migrations]))


def repair(migrator: Migrator, names: Sequence[str]) -> None:
    """Accept the files of applied migrations as they are now: their text and checksum replace what was stored."""
    with migrator.running(migrator.status()) as (executor, status):
        files = {migration.id: migration for migration in migrator.folders.migrations}
        ids = [migrator.find_applied(name, status) for name in names]
        for name in ids:
            if name not in files:
                raise UsageError(f"{name} has no file here to accept; restore it, or roll {name} back")
        known = {row.hash for row in status.applied if row.checksum}
        same = {row.id for row in status.applied if row.checksum} - {migration.id for migration in status.edited}
        executor.accept([files[name] for name in ids if name not in same], known)
    for name in ids:
        words = (
            f"the files of {name} are as they were applied" if name in same else f"accepted the current files of {name}"
        )
        migrator.console.result(words)


def settle(migrator: Migrator, name: str, *, done: bool) -> None:
    """Resolve the statement that an interrupted run left without an outcome; raises UsageError if there is none."""
    with migrator.running(migrator.status()) as (executor, status):
        for backfill in status.backfills:
            if backfill.migration_id == name or backfill.migration_id.startswith(name):
                _begin_again(migrator, executor, backfill.migration_id, backfill.hash, done=done)
                return
        open_lines = [line for line in status.journal if line.state == "started"]
        known = plan.find(name, list(dict.fromkeys(line.migration_id for line in open_lines)) or [name])
        line = next((line for line in open_lines if line.migration_id == known), None)
        if line is None:
            raise UsageError(f'"{name}" has no interrupted statement; `pgyoyo status` shows what is interrupted')
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
