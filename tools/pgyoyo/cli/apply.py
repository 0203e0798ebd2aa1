"""pgyoyo apply, rollback, redo."""

from typing import Any

import click

from pgyoyo.cli.config import load
from pgyoyo.cli.context import embedded, migrator
from pgyoyo.cli.options import backfills, common, examples, run_as_a_whole, runs
from pgyoyo.errors import UsageError
from pgyoyo.settings import EMBEDDED


@click.command(
    epilog=examples("pgyoyo apply", "pgyoyo apply --to 0004 --strict", "pgyoyo apply --dry-run | psql --file -")
)
@common
@click.option("--to", "target", metavar="ID", help="Last migration to apply.")
@click.option("--strict", is_flag=True, help="Fail on out-of-order or missing files instead of warning.")
@run_as_a_whole
@runs
@backfills
def apply(database: str | None, migrations: tuple[str, ...], target: str | None, **options: Any) -> None:
    """Apply the pending migrations.

    Each runs in one transaction together with its row in the ledger, unless its header says otherwise. A migration that
    fails is rolled back, and the run stops there; those before it stay applied.
    """
    config = load(database=database, migrations=migrations)
    with migrator(config, **options) as connected:
        connected.apply(target=target)
        if config.database == EMBEDDED and not connected.dry:
            connected.console.result(f"connect: {embedded(config).url(config.server_dbname)}")


@click.command(epilog=examples("pgyoyo rollback", "pgyoyo rollback --to 0004", "pgyoyo rollback 0007 --dry-run"))
@common
@click.option("--to", "target", metavar="ID", help="Roll back everything after this one, which stays applied.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Roll back the last N migrations.")
@click.option("--all", "everything", is_flag=True, help="Roll back every migration.")
@run_as_a_whole
@runs
@click.argument("ids", nargs=-1, metavar="[ID]...")
def rollback(
    database: str | None,
    migrations: tuple[str, ...],
    ids: tuple[str, ...],
    target: str | None,
    count: int | None,
    everything: bool,  # noqa: FBT001 - click passes by name
    **options: Any,
) -> None:
    """Roll back the last migration, or the ones you name.

    The last one applied is rolled back first. A migration whose file is gone is rolled back with the text in the ledger.
    """
    if sum((bool(ids), target is not None, count is not None, everything)) > 1:
        raise UsageError("use only one of IDs, --to, --count and --all")
    with migrator(load(database=database, migrations=migrations), **options) as connected:
        connected.rollback(ids=ids, target=target, count=count, everything=everything)


@click.command(epilog=examples("pgyoyo redo", "pgyoyo redo --count 2"))
@common
@click.option(
    "--count", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Redo the last N migrations."
)
@runs
@backfills
def redo(database: str | None, migrations: tuple[str, ...], count: int, **options: Any) -> None:
    """Roll back the last migration, then apply its current files.

    For a migration that you are still writing.
    """
    with migrator(load(database=database, migrations=migrations), **options) as connected:
        connected.redo(count=count)
