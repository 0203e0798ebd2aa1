"""pgyoyo sizes: how big the tables are, as a file for reviews without a login."""

from collections.abc import Mapping

import click

from pgyoyo.cli import fleet_sizes
from pgyoyo.cli.config import load
from pgyoyo.cli.context import target as target_conninfo
from pgyoyo.cli.fleet_run import opened
from pgyoyo.cli.options import examples, place_options
from pgyoyo.cli.output import require_folder, write
from pgyoyo.console import Console
from pgyoyo.engine import connection
from pgyoyo.errors import ConnectError
from pgyoyo.review import sizes as sizing
from pgyoyo.review import target
from pgyoyo.review.sheet import LiveTable
from pgyoyo.units import number


@click.command(
    epilog=examples(
        "pgyoyo sizes --database postgresql://reader@db.example/app --output sql/sizes.json",
        "pgyoyo sizes",
        "pgyoyo sizes --fleet tenants --output sql/sizes.json",
    )
)
@place_options
@click.option("--fleet", metavar="NAME", help="The largest tables of all members of a fleet, with median and sum.")
@click.option("--output", metavar="FILE", help="File to write to; by default stdout.")
def sizes(database: str | None, migrations: tuple[str, ...], fleet: str | None, output: str | None) -> None:
    """Write the sizes of the tables, for pgyoyo review --sizes.

    The names of the tables, their rows as the planner estimates them, and bytes; no values. The database is only read. The
    file goes into git, so that a review in CI needs no login there.
    """
    require_folder(output)
    config = load(database=database, migrations=migrations)
    if fleet:
        tables, text = _of_fleet(fleet, database, migrations)
    else:
        with connection.connect(target_conninfo(config)) as conn:
            tables = target.tables(conn)
            text = sizing.written(conn.info.server_version, tables)
    if output is None:
        Console().data(text.removesuffix("\n"))
    else:
        write(output, text)
        Console().answer(f"wrote {output}: {number(len(tables), 'table')}")


def _of_fleet(fleet: str, database: str | None, migrations: tuple[str, ...]) -> tuple[Mapping[str, LiveTable], str]:
    """The tables of a fleet, and the text of their file; warns of members without an answer.

    Raises ConnectError where none answers.
    """
    faults = fleet_sizes.Faults()
    with opened(fleet, database=database, migrations=migrations) as run:
        collected = fleet_sizes.collect(run, run.members, None, faults)
    if collected.version is None:
        raise ConnectError("\n".join(faults.lines()))
    for line in faults.lines():
        Console().warn(line)
    return collected.tables, sizing.written(collected.version, collected.tables, collected.answered)
