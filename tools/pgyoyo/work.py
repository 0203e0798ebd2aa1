"""The files of a run, one group after the other, and what is shown of each."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from pgyoyo import run_state
from pgyoyo.engine import failures
from pgyoyo.errors import ConnectionLostError, StatementError

if TYPE_CHECKING:
    from pgyoyo.console import Console
    from pgyoyo.engine.renewal import Renewal
    from pgyoyo.executor import Executor
    from pgyoyo.migrations.migration import File, Migration
    from pgyoyo.migrations.status import Status

    # What is to be done, in this order: apply, rollback, hook, or unmark, which runs nothing.
    Work = list[tuple[Migration, str]]

_VERBS = {"apply": "applied", "rollback": "rolled back", "hook": "ran"}


def work_of(migrations: Iterable[Migration], operation: str) -> Work:
    """The same operation for each."""
    return [(migration, operation) for migration in migrations]


def still_to_do(left: Work, status: Status) -> Work:
    """What nobody else has done meanwhile."""
    applied = {row.hash for row in status.applied}
    ending = {migration.hash for migration, operation in left if operation in ("rollback", "unmark")}
    done = {"apply": applied - ending, "rollback": ending - applied, "unmark": ending - applied, "hook": set[str]()}
    return [(migration, operation) for migration, operation in left if migration.hash not in done[operation]]


def show_stored(console: Console, going: Iterable[Migration], hashes: Container[str]) -> None:
    """Show the rollbacks that come from the ledger, since nobody can look at them here; `hashes` are those of the files."""
    for migration in going:
        if migration.hash not in hashes and migration.rollback:
            console.warn(f"{migration.id} has no file here; its rollback as stored when it was applied:")
            console.note(migration.rollback.data.decode())


@dataclass(frozen=True, slots=True)
class Worker:
    """Does the work of one session; `single` puts the migrations into one transaction."""

    executor: Executor
    console: Console
    single: bool
    renewal: Renewal

    def run(self, left: Work, status: Status) -> tuple[Work, Status]:
        """What is left for a new session, and the status so far.

        Raises StatementError and ConnectionLostError, with what stands.
        """
        done: Work = []
        while left:
            group = _next_group(left, single=self.single)
            left = left[len(group) :]
            self._run(group, done, status)
            files = filter(None, (_file(*entry) for entry in group))
            is_old = [self.renewal.is_needed(self.executor.conn, file) for file in files]  # asked after each
            if any(is_old):
                break
        return left, _after(status, done)

    def preview(self, left: Work, status: Status) -> None:
        """Print what would be sent; sends nothing."""
        if status.schema is None:
            self.console.data(f"-- the ledger\nBEGIN;\n{self.executor.creation()};\nCOMMIT;\n")
        while left:
            group = _next_group(left, single=self.single)
            left = left[len(group) :]
            _, way, mark = _way(group)
            texts = self.executor.preview([entry[0] for entry in group], way, mark=mark, batched=not self.single)
            self.console.data("\n".join(texts))

    def _run(self, group: Work, done: Work, status: Status) -> None:
        """Do it, and add it to what is done since the ledger was as `status` has it."""
        operation, way, mark = _way(group)
        migrations = [entry[0] for entry in group]
        if operation == "unmark":
            self.executor.record(migrations, "unmark")
            for migration in migrations:
                self.console.result(f"unmarked {migration.id}, which had no statement when it was applied")
            done += group
            return
        for migration in migrations if operation == "apply" else ():
            if migration.apply.empty:
                self.console.warn(f"{migration.apply.path} has no statement; it will count as applied all the same")
        try:
            outcomes = self.executor.run(migrations, way, mark=mark, batched=not self.single)
        except StatementError as error:
            error.state = run_state.after_failure(error, migrations, operation, _after(status, done))
            raise
        except ConnectionLostError as error:
            error.state = run_state.after_loss(error, migrations, operation, _after(status, done))
            raise
        done += group
        for migration, outcome in zip(migrations, outcomes, strict=True):
            title = migration.apply.header.title
            self.console.ran(
                _VERBS[operation], migration.id, outcome.duration, title=title,
                notices=[failures.hide(notice) for notice in outcome.notices], more_notices=outcome.more_notices,
                tables=outcome.tables, more_tables=outcome.more_tables,
            )  # fmt: skip


def _after(status: Status, done: Work) -> Status:
    """The status when all this is done. Once a run: for each migration, it would take longer the more there are."""
    for operation, entries in groupby(done, key=lambda entry: entry[1]):
        if operation != "hook":
            way = "apply" if operation == "apply" else "rollback"
            status = run_state.after(status, [migration for migration, _ in entries], way)
    return status


def _way(group: Work) -> tuple[str, str, bool]:
    """The operation of a group, what the executor calls it, and whether the ledger has a row of it."""
    operation = group[0][1]
    return (operation, "apply", False) if operation == "hook" else (operation, operation, True)


def _next_group(left: Work, *, single: bool) -> Work:
    """What goes into the next transaction: one file, or with `single` all that are applied, or all that are rolled back."""
    operation = left[0][1]
    if not single or operation not in ("apply", "rollback"):
        return left[:1]
    end = next((number for number, entry in enumerate(left) if entry[1] != operation), len(left))
    return left[:end]


def _file(migration: Migration, operation: str) -> File | None:
    """The file that the operation runs."""
    return migration.rollback if operation in ("rollback", "unmark") else migration.apply
