"""pgyoyo new."""

from pathlib import Path

import click

from pgyoyo.cli.config import load
from pgyoyo.cli.options import examples, place_options
from pgyoyo.console import Console
from pgyoyo.migrations import scaffold
from pgyoyo.sql.header import PHASES
from pgyoyo.units import several


@click.command(epilog=examples("pgyoyo new add_grade", "pgyoyo new add_grade --migrations sql/migrations"))
@place_options
@click.option("--phase", type=click.Choice(PHASES), help="Write it for before a deployment, or for after it.")
@click.argument("name")
def new(
    name: str,
    database: str | None,  # noqa: ARG001 - no database is needed
    migrations: tuple[str, ...],
    phase: str | None,
) -> None:
    """Create the next pair of migration files.

    NNNN_NAME.sql depends on the last migration there; NNNN_NAME.rollback.sql stands beside it. No file is overwritten.
    """
    config = load(migrations=migrations)
    folder = config.migrations[0]
    merged = scaffold.merged_branches(Path(folder))
    for path in scaffold.write(Path(folder), name, prefix=config.ini.prefix if config.ini else "", phase=phase or ""):
        Console().answer(f"wrote {path}")
    if merged:
        Console().warn(f"{several(merged)} come from different branches; the new migration depends on all of them")
