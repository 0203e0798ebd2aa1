"""pgyoyo sizes: how big the tables are, as a file for reviews without a login."""

import click

from pgyoyo.cli.config import load
from pgyoyo.cli.context import target as target_conninfo
from pgyoyo.cli.options import examples, place_options
from pgyoyo.cli.output import require_folder, write
from pgyoyo.console import Console
from pgyoyo.engine import connection
from pgyoyo.review import sizes as sizing
from pgyoyo.review import target
from pgyoyo.units import number


@click.command(
    epilog=examples(
        "pgyoyo sizes --database postgresql://reader@db.example/app --output sql/sizes.json", "pgyoyo sizes"
    )
)
@place_options
@click.option("--output", metavar="FILE", help="File to write to; by default stdout.")
def sizes(database: str | None, migrations: tuple[str, ...], output: str | None) -> None:
    """Write the sizes of the tables, for pgyoyo review --sizes.

    The names of the tables, their rows as the planner estimates them, and bytes; no values. The database is only read. The
    file goes into git, so that a review in CI needs no login there.
    """
    require_folder(output)
    config = load(database=database, migrations=migrations)
    with connection.connect(target_conninfo(config)) as conn:
        tables = target.tables(conn)
        text = sizing.written(conn.info.server_version, tables)
    if output is None:
        Console().data(text.removesuffix("\n"))
    else:
        write(output, text)
        Console().answer(f"wrote {output}: {number(len(tables), 'table')}")
