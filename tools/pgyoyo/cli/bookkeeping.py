"""pgyoyo baseline, mark, unmark, repair, rename, settle: the ledger edited by hand."""

import sys
from typing import Any

import click

from pgyoyo import bookkeeping
from pgyoyo.cli.config import load
from pgyoyo.cli.context import migrator, place
from pgyoyo.cli.options import common, examples, runs
from pgyoyo.errors import UsageError

ids_argument = click.argument("ids", nargs=-1, required=True, metavar="ID...")


@click.command(epilog=examples("pgyoyo baseline --to 0012", "pgyoyo baseline --to 0012 --yes"))
@common
@click.option(
    "--to", "target", metavar="ID", required=True, help="Last migration whose changes the database already has."
)
@click.option("--yes", is_flag=True, help="Record without asking.")
@runs
def baseline(
    database: str | None,
    migrations: tuple[str, ...],
    target: str,
    yes: bool,  # noqa: FBT001 - click passes by name
    **options: Any,
) -> None:
    """Record migrations up to ID as applied without running them.

    For a database that was made before pgyoyo, and already has what these migrations create.
    """
    with migrator(load(database=database, migrations=migrations), **options) as connected:
        chosen = [migration.id for migration in bookkeeping.to_baseline(connected, target)]
        if not chosen:
            connected.console.result(f"nothing to do: {target} and everything before it is recorded")
            return
        connected.console.answer(f"{place(connected)}: to be recorded as applied, without running:")
        connected.console.answer("".join(f"  {name}\n" for name in chosen).rstrip())
        if not yes and not (sys.stdin.isatty() and click.confirm("Record them?")):
            raise UsageError("nothing was recorded; --yes records them")
        bookkeeping.mark(connected, chosen)


@click.command(epilog=examples("pgyoyo mark 0007_add_index"))
@common
@runs
@ids_argument
def mark(database: str | None, migrations: tuple[str, ...], ids: tuple[str, ...], **options: Any) -> None:
    """Record migrations as applied without running them."""
    with migrator(load(database=database, migrations=migrations), **options) as connected:
        bookkeeping.mark(connected, ids)


@click.command(epilog=examples("pgyoyo unmark 0007_add_index"))
@common
@runs
@ids_argument
def unmark(database: str | None, migrations: tuple[str, ...], ids: tuple[str, ...], **options: Any) -> None:
    """Remove migrations from the ledger without rolling them back.

    What they created remains in the database.
    """
    with migrator(load(database=database, migrations=migrations), **options) as connected:
        bookkeeping.unmark(connected, ids)


@click.command(epilog=examples("pgyoyo repair 0003_create_orders"))
@common
@runs
@ids_argument
def repair(database: str | None, migrations: tuple[str, ...], ids: tuple[str, ...], **options: Any) -> None:
    """Accept the current files of applied migrations.

    Their text and checksum replace those in the ledger; nothing runs. For files that were changed after they were applied.
    """
    with migrator(load(database=database, migrations=migrations), **options) as connected:
        bookkeeping.repair(connected, ids)


@click.command(epilog=examples("pgyoyo rename 0007_add_index 0008_add_index"))
@common
@runs
@click.argument("old", metavar="OLD")
@click.argument("new", metavar="NEW")
def rename(database: str | None, migrations: tuple[str, ...], old: str, new: str, **options: Any) -> None:
    """Rename an applied migration in the ledger, as its file was.

    OLD is the id that is applied and has no file any more, NEW that of the file. Nothing runs.
    """
    with migrator(load(database=database, migrations=migrations), **options) as connected:
        bookkeeping.rename(connected, old, new)


@click.command(epilog=examples("pgyoyo settle 0009_add_index --done", "pgyoyo settle 0009_add_index --again"))
@common
@click.option(
    "--done/--again", default=None, required=True, help="The statement took effect; or it did not, and is to run again."
)
@runs
@click.argument("name", metavar="ID")
def settle(
    database: str | None,
    migrations: tuple[str, ...],
    name: str,
    done: bool,  # noqa: FBT001 - click passes by name
    **options: Any,
) -> None:
    """Resolve an interrupted statement: mark it done, or run it again.

    For a statement outside a transaction whose runner died while it ran, where the catalog can't show whether it took
    effect. `pgyoyo status` shows it.
    """
    with migrator(load(database=database, migrations=migrations), **options) as connected:
        bookkeeping.settle(connected, name, done=done)
