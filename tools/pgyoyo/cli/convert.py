"""pgyoyo convert."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from pgyoyo.cli.config import load
from pgyoyo.cli.context import scratch_target
from pgyoyo.cli.options import examples, migrations_option, scratch_option
from pgyoyo.console import Console
from pgyoyo.errors import PgyoyoError, UsageError
from pgyoyo.migrations import conversion as writing
from pgyoyo.migrations import plan, reader
from pgyoyo.migrations.migration import Migration
from pgyoyo.prove import conversion as proving
from pgyoyo.scratch import databases
from pgyoyo.units import number, several


@click.command(epilog=examples("pgyoyo convert", "pgyoyo convert 0007 --keep"))
@migrations_option
@scratch_option
@click.option("--keep", is_flag=True, help="Leave the .py files where they are.")
@click.option("--yes", is_flag=True, help="Remove the .py files without asking.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
def convert(ids: tuple[str, ...], migrations: tuple[str, ...], scratch: str | None, keep: bool, yes: bool) -> None:  # noqa: FBT001 - click passes by name
    """Write the SQL files of Python migrations.

    Each gets ID.sql and ID.rollback.sql, so that the ledger still fits. Then plain yoyo runs the .py and pgyoyo the .sql, on
    scratch databases with sample rows: catalog and rows must be the same. Only then the .py is removed, if you agree. A step
    that is a function is named, and its file left as it is.
    """
    if keep and yes:
        raise UsageError("give --keep or --yes: one of them")
    folders = reader.read(load(migrations=migrations).migrations)
    console = Console()
    order = [*plan.order(folders.migrations), *folders.hooks]  # as apply runs them
    known = [migration.id for migration in order]
    chosen = _chosen(order, [plan.find(name, known) for name in ids], console)
    if not chosen:
        console.answer("no Python migration to convert")
        return
    with ExitStack() as written:
        files = {migration.id: writing.write(migration, written) for migration in chosen}
        _prove(scratch_target(load(migrations=migrations), scratch), order, files, console)
        written.pop_all()
    sources = [migration.apply.path for migration in chosen]
    if keep or not (yes or _agrees(sources, console)):
        console.warn(
            f"{several(list(map(str, sources)))} stayed; plain yoyo stops at two files of one id until they are removed"
        )
        return
    for path in sources:
        path.unlink()
    console.answer(f"{number(len(sources), 'Python file')} removed")


def _chosen(order: Sequence[Migration], ids: Sequence[str], console: Console) -> list[Migration]:
    """The Python migrations that have SQL files to be written for them; the others are named, with what they are."""
    by_id = {migration.id: migration for migration in order}
    for name in ids:
        if not by_id[name].apply.is_python:
            raise UsageError(f"{by_id[name].apply.path} is SQL already")
    chosen = []
    for migration in order:
        if not migration.apply.is_python or (ids and migration.id not in ids):
            continue
        if reasons := writing.reasons(migration):
            for place, words in reasons:
                console.warn(f"{place}: {words}; the file is left as it is")
        else:
            chosen.append(migration)
    return chosen


def _prove(server: str, order: Sequence[Migration], files: dict[str, Migration], console: Console) -> None:
    """Compare both of each migration; raises PgyoyoError where they differ."""
    differing = []
    with databases.server(server, console.note) as admin:
        for name, lines in proving.differences(admin, order, files, console):
            if lines:
                differing.append(
                    "\n".join([f"{name}: the .py and the .sql give something else:", *(f"  {x}" for x in lines)])
                )
            else:
                path = files[name].apply.path
                console.answer(f"converted {name}: {path} gives the same catalog and the same rows")
    if differing:
        raise PgyoyoError("\n".join([*differing, "nothing was written"]))


def _agrees(sources: Sequence[Path], console: Console) -> bool:
    if not sys.stdin.isatty():
        return False
    console.answer("\n".join(["To be removed:", *(f"  {path}" for path in sources)]))
    return click.confirm("Remove them?")
