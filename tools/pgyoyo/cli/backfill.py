"""pgyoyo backfill run, pause, resume, limit: backfills by themselves, and how a running one goes on."""

from collections.abc import Mapping
from typing import Any

import click

from pgyoyo.backfill import control
from pgyoyo.cli.config import load
from pgyoyo.cli.context import migrator
from pgyoyo.cli.options import Duration, Share, backfills, common, examples, runs
from pgyoyo.errors import UsageError
from pgyoyo.migrations import later, plan
from pgyoyo.migrations.status import Progress, Status
from pgyoyo.units import is_window

id_argument = click.argument("name", required=False, metavar="[ID]")


@click.group(
    epilog=examples("pgyoyo backfill run", "pgyoyo backfill pause 0005", "pgyoyo backfill limit --target 30ms")
)
def backfill() -> None:
    """Pause, resume, slow down or run backfills.

    A running backfill reads its row in the ledger with each batch, so any terminal that reaches the database can do it.
    """


@backfill.command(epilog=examples("pgyoyo backfill run", "pgyoyo backfill run 0005 --pause 100%"))
@common
@runs
@backfills
@click.argument("ids", nargs=-1, metavar="[ID]...")
def run(database: str | None, migrations: tuple[str, ...], ids: tuple[str, ...], **options: Any) -> None:
    """Apply the pending backfills and nothing else.

    After `pgyoyo apply --backfills later`; then `pgyoyo apply` applies what was held back for them.
    """
    with migrator(load(database=database, migrations=migrations), **options) as connected:
        names = [migration.id for migration in connected.folders.migrations]
        chosen = [plan.find(name, names) for name in ids]
        connected.select = lambda pending: later.only_backfills(pending, chosen)
        connected.apply()


@backfill.command(epilog=examples("pgyoyo backfill pause 0005"))
@common
@id_argument
def pause(database: str | None, migrations: tuple[str, ...], name: str | None, **options: Any) -> None:
    """Pause a running backfill.

    It stops after its current batch, and keeps its place and the lock of its run. A later run of it waits, too, until
    it is resumed.
    """
    _steer(database, migrations, name, {"paused": True}, **options)


@backfill.command(epilog=examples("pgyoyo backfill resume 0005"))
@common
@id_argument
def resume(database: str | None, migrations: tuple[str, ...], name: str | None, **options: Any) -> None:
    """Resume a paused backfill."""
    _steer(database, migrations, name, {"paused": None}, **options)


@backfill.command(
    epilog=examples(
        "pgyoyo backfill limit 0005 --target 30ms --pause 200%",
        "pgyoyo backfill limit 0005 --window 22:00-06:00",
        "pgyoyo backfill limit 0005 --reset",
    )
)
@common
@click.option("--target", type=Duration(), metavar="TIME", help="How long each batch should take.")
@click.option("--pause", type=Share(), metavar="PERCENT", help="Pause after each batch, of the batch's duration.")
@click.option(
    "--max-replica-lag", type=Duration(), metavar="TIME", help="Wait while a replica lags more; 0 for no limit."
)
@click.option("--window", metavar="HH:MM-HH:MM", help="Hours of the day in which batches run, or any.")
@click.option("--reset", is_flag=True, help="Go back to what its file and the settings say.")
@id_argument
def limit(
    database: str | None,
    migrations: tuple[str, ...],
    name: str | None,
    target: float | None,
    pause: float | None,
    max_replica_lag: float | None,
    window: str | None,
    reset: bool,  # noqa: FBT001 - click passes by name
    **options: Any,
) -> None:
    """Change the limits of a running backfill, from its next batch on.

    They hold until it ends, also for a run that resumes it. The hours are those of the time zone of its session.
    """
    given = {"target": target, "pause": pause, "max_replica_lag": max_replica_lag, "window": window}
    values: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if reset:
        if values:
            raise UsageError("use --reset without other limits")
        values = dict.fromkeys(given)
    if not values:
        raise UsageError("give a limit: --target, --pause, --max-replica-lag, --window or --reset")
    if target is not None and not 0.001 <= target <= 60:
        raise UsageError(f"--target is {target:g} s; it must be between 1 ms and 60 s")
    if window == "any":
        values["window"] = ""
    elif window is not None and not (window and is_window(window)):
        raise UsageError(f'--window is "{window}"; write two times of the day, 22:00-06:00, or any')
    _steer(database, migrations, name, values, **options)


def _steer(
    database: str | None, migrations: tuple[str, ...], name: str | None, values: Mapping[str, Any], **options: Any
) -> None:
    with migrator(load(database=database, migrations=migrations), **options) as connected:
        status = connected.status()
        progress = _chosen(status, name)
        assert status.schema
        now = control.change(connected.conn, status.schema, progress.hash, values)
        how = "from its next batch on" if progress.running else "when it is resumed: pgyoyo apply"
        connected.console.result(f"{progress.migration_id}: {str(now) or 'as its file and the settings say'}, {how}")


def _chosen(status: Status, name: str | None) -> Progress:
    """The backfill that is meant; raises UsageError."""
    known = {progress.migration_id: progress for progress in status.backfills}
    if not known:
        raise UsageError(
            "no backfill is under way; what it may take stands in its header and in [tool.pgyoyo.backfill]"
        )
    if name is None and len(known) > 1:
        raise UsageError("several backfills are under way: " + ", ".join(known) + "; give the ID of one")
    if name is None:
        return next(iter(known.values()))
    chosen = plan.find(name, dict.fromkeys([*known, *(m.id for m in status.pending), *(r.id for r in status.applied)]))
    if chosen not in known:
        raise UsageError(f"{chosen} has no backfill under way; {' and '.join(known)} has")
    return known[chosen]
