"""pgyoyo apply, rollback, redo."""

import sys
from collections.abc import Sequence
from typing import Any

import click

from pgyoyo.cli.config import load
from pgyoyo.cli.context import embedded, migrator, place
from pgyoyo.cli.options import backfills, common, examples, hinting, run_as_a_whole, runs
from pgyoyo.errors import UsageError
from pgyoyo.migrations import later, phases
from pgyoyo.migrations.migration import Migration
from pgyoyo.settings import EMBEDDED
from pgyoyo.sql.header import PHASES


@click.command(
    cls=hinting("--to ID stops after a migration"),
    epilog=examples("pgyoyo apply", "pgyoyo apply --to 0004 --strict", "pgyoyo apply --dry-run | psql --file -"),
)
@common
@click.option("--to", "target", metavar="ID", help="Last migration to apply.")
@click.option(
    "--strict",
    is_flag=True,
    help="Fail on files that are out of order, missing or from two branches instead of warning.",
)
@click.option("--allow-empty", is_flag=True, help="Record files without a statement as applied.")
@run_as_a_whole
@runs
@backfills
@click.option(
    "--backfills",
    "when",
    type=click.Choice(["now", "later"]),
    default="now",
    help="When backfills run: now, or later by pgyoyo backfill run; what depends on them is held back, too.",
)
@click.option(
    "--phase",
    type=click.Choice(PHASES),
    help="expand: before a deployment, all but contract migrations; contract: after it, those.",
)
def apply(
    database: str | None,
    migrations: tuple[str, ...],
    target: str | None,
    when: str,
    phase: str | None,
    **options: Any,
) -> None:
    """Apply the pending migrations.

    Each runs in one transaction together with its row in the ledger, unless its header says otherwise. A migration that
    fails is rolled back, and the run stops there; those before it stay applied.
    """
    config = load(database=database, migrations=migrations)
    with migrator(config, **options) as connected:
        of_other_phase: list[later.Held] = []
        backfills: list[later.Held] = []

        def select(pending: Sequence[Migration]) -> list[Migration]:
            now = list(pending)
            if phase:
                now, of_other_phase[:] = phases.split(now, phase)
            if when == "later":
                now, backfills[:] = later.without_backfills(now)
            return now

        connected.select = select
        connected.apply(target=target)
        # The output of a dry run is for psql.
        tell = connected.console.note if connected.dry else connected.console.result
        for migration, reason in (*backfills, *of_other_phase):
            tell(f"held back: {migration.id}  ({reason})")
        if backfills:
            tell("next: pgyoyo backfill run, then pgyoyo apply" + (f" --phase {phase}" if phase else ""))
        if config.database == EMBEDDED and not connected.dry:
            connected.console.result(f"connect: {embedded(config).url(config.server_dbname)}")


@click.command(epilog=examples("pgyoyo rollback", "pgyoyo rollback --to 0004", "pgyoyo rollback 0007 --dry-run"))
@common
@click.option("--to", "target", metavar="ID", help="Roll back everything after this one, which stays applied.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Roll back the last N migrations.")
@click.option("--all", "everything", is_flag=True, help="Roll back every migration.")
@click.option("--yes", is_flag=True, help="Roll back without asking.")
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
    yes: bool,  # noqa: FBT001 - as above
    **options: Any,
) -> None:
    """Roll back the last migration, or the ones you name.

    The last one applied is rolled back first. A migration whose file is gone is rolled back with the text in the ledger.
    On a server of your own it asks before it rolls back all, or several that lose data.
    """
    if sum((bool(ids), target is not None, count is not None, everything)) > 1:
        raise UsageError("use only one of IDs, --to, --count and --all")
    config = load(database=database, migrations=migrations)
    with migrator(config, **options) as connected:

        def confirm(going: Sequence[Migration]) -> bool:
            losses = {m.id: m.rollback.header.lossy for m in going if m.rollback and m.rollback.header.lossy}
            if yes or config.database == EMBEDDED or not (everything or len(losses) > 1):
                return False
            connected.console.answer(f"{place(connected)}: to be rolled back, with the objects and rows they made:")
            lines = (f"  {m.id}" + (f"  loses: {losses[m.id]}" if m.id in losses else "") for m in going)
            connected.console.answer("\n".join(lines))
            if not (sys.stdin.isatty() and click.confirm("Roll back?")):
                raise UsageError("nothing was rolled back; --yes rolls back without asking")
            return True

        connected.rollback(ids=ids, target=target, count=count, everything=everything, confirm=confirm)


@click.command(epilog=examples("pgyoyo redo", "pgyoyo redo --count 2", "pgyoyo redo 0007"))
@common
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Redo the last N migrations.")
@runs
@backfills
@click.argument("ids", nargs=-1, metavar="[ID]...")
def redo(
    database: str | None, migrations: tuple[str, ...], ids: tuple[str, ...], count: int | None, **options: Any
) -> None:
    """Roll back the last migration, then apply its current files.

    For a migration that you are still writing. One whose file had no statement when it was applied is only applied.
    """
    if ids and count is not None:
        raise UsageError("use only one of IDs and --count")
    with migrator(load(database=database, migrations=migrations), **options) as connected:
        connected.redo(ids=ids, count=count or 1)
