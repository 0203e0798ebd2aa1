"""pgyoyo new."""

from pathlib import Path

import click

from pgyoyo.cli.config import load
from pgyoyo.cli.options import examples, place_options, scratch_option
from pgyoyo.console import Console
from pgyoyo.errors import UsageError
from pgyoyo.migrations import scaffold
from pgyoyo.sql.header import PHASES
from pgyoyo.units import several


@click.command(
    epilog=examples(
        "pgyoyo new add_grade",
        "pgyoyo new add_grade --migrations sql/migrations",
        'pgyoyo new --expand "cj_batch_uploads.id bigint"',
        'pgyoyo new --rename "cj_batch_uploads.language=lang"',
    )
)
@place_options
@click.option("--phase", type=click.Choice(PHASES), help="Mark it to run before a deployment, or only after it.")
@click.option("--expand", metavar='"TABLE.COLUMN TYPE"', help="Write the files that give a column in use another type.")
@click.option("--rename", metavar='"TABLE.COLUMN=NAME"', help="Write the files that give a column in use another name.")
@scratch_option
@click.argument("name", required=False)
def new(
    name: str | None,
    database: str | None,
    migrations: tuple[str, ...],
    phase: str | None,
    expand: str | None,
    rename: str | None,
    scratch: str | None,
) -> None:
    """Create the next pair of migration files.

    NNNN_NAME.sql depends on the last migration there; NNNN_NAME.rollback.sql stands beside it. No file is overwritten.
    """
    if sum(value is not None for value in (name, expand, rename)) != 1:
        raise UsageError("give either a NAME, or --expand, or --rename")
    config = load(database=database, migrations=migrations)
    folder = config.migrations[0]
    merged = scaffold.merged_branches(Path(folder))
    prefix = config.ini.prefix if config.ini else ""
    if name is not None:
        paths = scaffold.write(Path(folder), name, prefix=prefix, phase=phase or "")
    elif phase:
        raise UsageError("--expand and --rename write files of both phases; leave --phase out")
    else:
        from pgyoyo.cli import column_files  # the rest does without a database

        paths = column_files.written(config, expand, rename, scratch, prefix)
    for path in paths:
        Console().answer(f"wrote {path}")
    if merged:
        Console().warn(f"{several(merged)} come from different branches; the new migration depends on all of them")
