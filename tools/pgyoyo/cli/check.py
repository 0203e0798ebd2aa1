"""pgyoyo check."""

from collections.abc import Iterator

import click

from pgyoyo import whole_file
from pgyoyo.cli.config import load
from pgyoyo.cli.options import examples, migrations_option
from pgyoyo.console import Console
from pgyoyo.engine.difference import difference
from pgyoyo.errors import Defect, DefectsError, RollbackRefusedError, UsageError
from pgyoyo.migrations import checks, fixes, plan, reader
from pgyoyo.migrations.migration import ROLLBACK, File, Folders
from pgyoyo.sql.header import PHASES
from pgyoyo.units import number, several

_EACH = 5  # so many migrations without a rollback file have a warning each


@click.command(epilog=examples("pgyoyo check", "pgyoyo check --fix", "pgyoyo check --fix --no-op"))
@migrations_option
@click.option("--fix", is_flag=True, help="Add `transactional: false` where a file needs it, and show the difference.")
@click.option("--no-op", is_flag=True, help="With --fix: give empty rollback files a SELECT that undoes nothing.")
def check(migrations: tuple[str, ...], fix: bool, no_op: bool) -> None:  # noqa: FBT001 - click passes by name
    """Show every defect of every file; --fix adds missing header lines.

    No database is needed. Exits with 1 if a file has a defect that stops it from running; what only a rollback lacks is a
    warning.
    """
    if no_op and not fix:
        raise UsageError("--no-op writes to files; give it together with --fix")
    folders = load(migrations=migrations).migrations
    console = Console()
    read, defects = _all(folders)
    changed = dict(_changes(read, no_op=no_op))
    if fix and changed:
        for file, data in changed.items():
            whole_file.write(file.path, data)
            console.data(_diff(file, data))
        read, defects = _all(folders)
    for warning in _warnings(read):
        console.warn(warning)
    if defects:
        if changed and not fix:
            console.note(f"`pgyoyo check --fix` adds the line that is missing in {number(len(changed), 'file')}")
        raise DefectsError(defects)
    console.answer(f"no defect in {number(len(_files(read)), 'file')}" + _phases(read))


def _all(folders: tuple[str, ...]) -> tuple[Folders, list[Defect]]:
    read, defects = reader.read_what_can_be(folders)
    return read, [*defects, *(defect for file in _files(read) for defect in _defects(file))]


def _defects(file: File) -> list[Defect]:
    return list(checks.defects(file)) or list(checks.unreadable(file)) or list(checks.ending_transactions(file))


def _files(read: Folders) -> list[File]:
    return [file for m in (*read.migrations, *read.hooks) for file in (m.apply, m.rollback) if file]


def _changes(read: Folders, *, no_op: bool) -> Iterator[tuple[File, bytes]]:
    """The files that would be changed, each with what it would hold."""
    for file in _files(read):
        if data := fixes.declared(file):
            yield file, data
    for migration in read.migrations if no_op else ():
        if migration.rollback and (data := fixes.with_no_op(migration.rollback)):
            yield migration.rollback, data


def _warnings(read: Folders) -> Iterator[str]:
    yield from read.warnings
    grouped: set[str] = set()
    for is_python, words in (
        (False, "rollback file: {}; write ID.rollback.sql for each"),
        (True, "step to roll back: {}"),
    ):
        without = [m.id for m in read.migrations if m.rollback is None and m.apply.is_python == is_python]
        if len(without) > _EACH:
            grouped.update(without)
            yield f"{number(len(without), 'migration')} have no {words.format(several(without))}"
    for migration in read.migrations:
        for line, words in migration.apply.blocked:
            yield f"{migration.apply.path}:{line}: {words}; apply stops here while it is pending"
        if migration.apply.empty and not migration.apply.blocked:
            yield f"{migration.apply.path} has no statement yet"
        try:
            if migration.id not in grouped and not (migration.rollback and migration.rollback.header.irreversible):
                migration.require_rollback()
        except RollbackRefusedError as error:
            if migration.rollback or migration.apply.is_python:
                yield str(error)
            else:
                name = migration.apply.path.with_name(migration.id + ROLLBACK)
                yield f"{migration.id} has no rollback file, so it can't be rolled back; write {name}"
    if heads := plan.merged_heads(plan.order(read.migrations)):
        yield f"{several(heads)} come from different branches, and nothing says which is the last"


def _phases(read: Folders) -> str:
    """How many migrations run before a deployment and after it, where a header says so."""
    phases = [migration.apply.header.phase for migration in read.migrations]
    words = [number(count, f"{phase} migration") for phase in PHASES if (count := phases.count(phase))]
    return f"; {' and '.join(words)}" if words else ""


def _diff(file: File, data: bytes) -> str:
    before, after = (text.decode("utf-8-sig") for text in (file.data, data))
    return "\n".join(difference(before, after, (file.name, file.name)))
