"""pgyoyo adopt."""

import sys
from typing import Any

import click

from pgyoyo.cli.config import load
from pgyoyo.cli.context import migrator, place, scratch_target
from pgyoyo.cli.options import common, examples, runs, scratch_option
from pgyoyo.engine import read_only
from pgyoyo.schema import adopt as adopting
from pgyoyo.schema.verify import Ignore, verdict_lines


@click.command(epilog=examples("pgyoyo adopt", "pgyoyo adopt --to 0012"))
@common
@runs
@scratch_option
@click.option(
    "--to", "last", metavar="ID", help="Last migration whose changes the database has; by default as a ledger says."
)
@click.option("--owners", is_flag=True, help="Compare owners too where the scratch server lacks the roles.")
@click.option(
    "--ignore", "patterns", metavar="PATTERN", multiple=True,
    help='Expected differences, as "index *.tmp_*"; may be given more than once.',
)  # fmt: skip
def adopt(
    database: str | None,
    migrations: tuple[str, ...],
    scratch: str | None,
    owners: bool,  # noqa: FBT001 - click passes by name
    last: str | None,
    patterns: tuple[str, ...],
    **options: Any,
) -> None:
    """Take over a database that already has what migrations create.

    Which ones it has is read from the ledger of plain yoyo, or of the tool that the files were imported from; without one
    all count. The live schema is compared with what they produce on a scratch database: if anything differs, it is shown,
    nothing is recorded, and the exit code is 4. No migration runs on the database itself.
    """
    config = load(database=database, migrations=migrations)
    rules = [Ignore(pattern, reason) for pattern, reason in config.ignore]
    rules += [Ignore(pattern, "--ignore") for pattern in patterns]
    with migrator(config, **options) as connected:
        read_only.refuse(connected.conn)  # before all the work of comparing
        server = scratch_target(config, scratch, connected.conn.info.server_version)
        takeover = adopting.inspect(connected, server, rules, last, owners=owners)
        connected.console.answer(place(connected))
        if takeover.agrees:
            adopting.record(connected, takeover)
        else:
            connected.console.answer("\n".join(verdict_lines(takeover.verdict)))
        connected.console.answer("\n".join(adopting.lines(takeover)))
        if takeover.agrees:
            connected.console.result(str(connected.status()))
    if not takeover.agrees:
        sys.exit(4)
