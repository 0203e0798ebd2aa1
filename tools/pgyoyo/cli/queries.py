"""pgyoyo queries: the statements that an application sends, as a file for reviews."""

from itertools import chain
from pathlib import Path

import click

from pgyoyo.cli.config import load
from pgyoyo.cli.context import target as target_conninfo
from pgyoyo.cli.options import env_options, examples, hinting, migrations_option
from pgyoyo.cli.output import require_folder, write
from pgyoyo.console import Console
from pgyoyo.engine import connection
from pgyoyo.errors import UsageError
from pgyoyo.units import number
from pgyoyo.workload import files, logs, server_statistics
from pgyoyo.workload.collecting import collected, notes
from pgyoyo.workload.statements import Query, written


@click.command(
    cls=hinting("--log FILE reads a log, --sql DIR reads .sql files"),
    epilog=examples(
        "pgyoyo queries --database postgresql://reader@db.example/app --output sql/queries.sql",
        "pgyoyo queries --sql app/queries --log postgresql.json --output sql/queries.sql",
    ),
)
@click.option(
    "--database", metavar="URL", multiple=True, help="Database to read pg_stat_statements of; may be repeated."
)
@migrations_option
@env_options
@click.option("--sql", "folders", metavar="DIR", multiple=True, help="Folder of .sql files, or one; may be repeated.")
@click.option(
    "--log", metavar="FILE", multiple=True, help="Log of a server: jsonlog, csvlog or stderr; may be repeated."
)
@click.option("--keep-literals", is_flag=True, help="Keep values that stand in the statements.")
@click.option("--output", metavar="FILE", help="File to write to; by default stdout.")
def queries(
    database: tuple[str, ...],
    migrations: tuple[str, ...],
    folders: tuple[str, ...],
    log: tuple[str, ...],
    keep_literals: bool,  # noqa: FBT001 - click's flag
    output: str | None,
) -> None:
    """Write the statements that an application sends.

    From pg_stat_statements of the database, unless --sql or --log names other sources; the sources that are named are
    merged. The database is only read. Values in the statements become parameters.
    """
    require_folder(output)
    config = load(database=database[0] if database else None, migrations=migrations)
    named: list[Query] = []
    for folder in folders:
        statements, defects = files.queries(Path(folder))
        named += statements
        for defect in defects:
            Console().warn(str(defect))
    logged = chain.from_iterable(logs.queries(Path(path)) for path in log)
    counted: list[Query] = []
    if database or not (folders or log):
        further = [connection.Target(connection.normalize(url), config.migration_table) for url in database[1:]]
        for target in (target_conninfo(config), *further):
            counted += _counted(target)
    result = collected(chain(named, logged, counted), keep_literals=keep_literals, ledger=config.migration_table)
    for line in notes(result):
        Console().note(line)
    if not result.queries:
        raise UsageError(
            f"nothing to write: of {number(result.others, 'statement')} none reads or writes rows of the application's "
            "tables; name where its statements are: --sql DIR, --log FILE, --database URL"
        )
    text = written(result.queries)
    if output is None:
        Console().data(text.removesuffix("\n"))
    else:
        write(output, text)
        Console().answer(f"wrote {output}: {number(len(result.queries), 'statement')}")


def _counted(target: connection.Target) -> list[Query]:
    with connection.connect(target) as conn:
        return server_statistics.queries(conn)
