"""pgyoyo wait."""

import click

from pgyoyo import units
from pgyoyo.cli.config import load
from pgyoyo.cli.context import target
from pgyoyo.cli.options import Duration, examples, place_options, quiet_option
from pgyoyo.console import Console
from pgyoyo.errors import ConnectError, PendingError
from pgyoyo.library import wait_until_applied
from pgyoyo.results import Status
from pgyoyo.sql.header import PHASES


@click.command(epilog=examples("pgyoyo wait", "pgyoyo wait --applied 0007 --timeout 5min"))
@place_options
@quiet_option
@click.option("--applied", "upto", metavar="ID", help="Wait for the migrations up to and with this one only.")
@click.option("--phase", type=click.Choice(PHASES), help="Wait only for what runs before a deployment, or after it.")
@click.option(
    "--timeout", type=Duration(), default=60.0, metavar="TIME", help="How long to wait (60s); then exit with 3."
)
def wait(
    database: str | None,
    migrations: tuple[str, ...],
    quiet: bool,  # noqa: FBT001 - click passes by name
    upto: str | None,
    phase: str | None,
    timeout: float,
) -> None:
    """Wait until the migrations are applied.

    Exits with 0 then, with 3 after --timeout. Read-only, and takes no lock: for replicas of an application and init
    containers, while another process applies.
    """
    config = load(database=database, migrations=migrations)
    where, console = target(config), Console(quiet)

    def waited(seconds: float) -> Status:
        return wait_until_applied(where, config.migrations, upto=upto, phase=phase, wait=seconds)

    try:
        status = waited(0.0)
    except (PendingError, ConnectError) as error:
        if not timeout or (isinstance(error, ConnectError) and not error.passes):
            raise
        if isinstance(error, PendingError):
            reason = f"still pending: {', '.join(error.pending)}"
        else:
            reason = str(error).partition("\n")[0]
        console.note(f"waiting {units.time_words(timeout * 1000)} at most: {reason}")
        status = waited(timeout)
    console.result(f"{len(status.applied)} applied, {len(status.pending) or 'none'} pending.")
