"""Changes to the ledger without running a migration: mark, unmark, baseline, repair, settle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pgyoyo.engine import ledger
from pgyoyo.errors import UsageError
from pgyoyo.migrations import plan

if TYPE_CHECKING:
    from pgyoyo.migrations.migration import Migration
    from pgyoyo.migrator import Migrator


def mark(one: Migrator, names: Sequence[str]) -> None:
    """Record the migrations as applied without running them; raises UsageError for one that is applied already."""
    with one.running() as backend:
        comparison, _ = one.compare()
        ids = [plan.find(name, [m.id for m in one.folders.migrations]) for name in names]
        pending = {migration.id: migration for migration in comparison.pending}
        for name in ids:
            if name not in pending:
                raise UsageError(f"{name} is applied already")
        backend.record([migration for name, migration in pending.items() if name in ids], "mark")
    for name in ids:
        one.console.result(f"marked {name} as applied, without running it")


def unmark(one: Migrator, names: Sequence[str]) -> None:
    """Take the migrations out of the ledger without rolling them back; raises as a rollback would."""
    with one.running() as backend:
        comparison, found = one.compare()
        ids = [one.find_applied(name, comparison) for name in names]
        rows = plan.to_roll_back(comparison.applied, one.depends(comparison, found), ids=ids)
        backend.record(rows, "unmark")
    for row in rows:
        one.console.result(f"unmarked {row.id}; what it made is still there")


def to_baseline(one: Migrator, target: str) -> list[Migration]:
    """The migrations that a baseline would record: all that are pending up to and with `target`; writes nothing."""
    comparison, _ = one.compare()
    return plan.to_apply(comparison, target=plan.find(target, [m.id for m in one.folders.migrations]))


def repair(one: Migrator, names: Sequence[str]) -> None:
    """Accept the files of applied migrations as they are now: their text and checksum replace what was stored."""
    with one.running() as backend:
        comparison, _ = one.compare()
        files = {migration.id: migration for migration in one.folders.migrations}
        ids = [one.find_applied(name, comparison) for name in names]
        for name in ids:
            if name not in files:
                raise UsageError(f"{name} has no file here to take; restore it, or roll {name} back")
        known = {row.hash for row in comparison.applied if row.checksum}
        same = {row.id for row in comparison.applied if row.checksum} - {
            migration.id for migration in comparison.edited
        }
        backend.accept([files[name] for name in ids if name not in same], known)
    for name in ids:
        words = "has its files as they were applied" if name in same else "has its files accepted as they are"
        one.console.result(f"{name} {words}")


def _begin_again(one: Migrator, name: str, migration_hash: str, schema: str, *, done: bool) -> None:
    """Forget how far a backfill is; its WHERE passes over the rows that are done."""
    if done:
        raise UsageError(
            f"{name} is a backfill: pgyoyo apply goes on with it; if all its rows are right, pgyoyo mark {name} records it"
        )
    ledger.execute(one.conn, "backfill_clear", schema, {"hash": migration_hash})
    one.console.result(f"{name} will begin again at the first page; next: pgyoyo apply")


def settle(one: Migrator, name: str, *, done: bool) -> None:
    """Say what became of the statement that a dead runner left without an answer; raises UsageError if none did."""
    with one.running() as backend:
        _, found = one.compare()
        assert backend.schema_name
        if begun := [row for row in found.backfills if row.migration_id == name or row.migration_id.startswith(name)]:
            _begin_again(one, begun[0].migration_id, begun[0].hash, backend.schema_name, done=done)
            return
        open_lines = [line for line in found.journal if line.state == "started"]
        known = plan.find(name, list(dict.fromkeys(line.migration_id for line in open_lines)) or [name])
        line = next((line for line in open_lines if line.migration_id == known), None)
        if line is None:
            raise UsageError(
                f'no statement of "{name}" is without an answer; `pgyoyo status` shows what is interrupted'
            )
        assert backend.schema_name
        values = {"hash": line.hash, "statement": line.statement, "state": "done" if done else "failed"}
        ledger.execute(one.conn, "journal_state", backend.schema_name, values)
    words = "counts as done" if done else "will run again"
    one.console.result(f"statement {line.statement} of {line.migration_id} {words}; next: pgyoyo {line.operation}")
