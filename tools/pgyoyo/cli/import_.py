"""pgyoyo import."""

import re
from pathlib import Path

import click

from pgyoyo.cli.config import load
from pgyoyo.cli.context import target
from pgyoyo.cli.options import examples, place_options
from pgyoyo.console import Console
from pgyoyo.engine import connection
from pgyoyo.errors import UsageError
from pgyoyo.importing import ledgers, pairs, tools
from pgyoyo.importing.source import DATABASE, Project
from pgyoyo.migrations import scaffold
from pgyoyo.migrations.migration import ROLLBACK
from pgyoyo.settings import Settings
from pgyoyo.units import number


@click.command(
    "import",
    epilog=examples(
        "pgyoyo import dbmate db/migrations", "pgyoyo import alembic upgrade.sql",
        "pgyoyo import database --database postgresql://localhost/shop",
    ),
)  # fmt: skip
@place_options
@click.argument("tool", type=click.Choice([*tools.TOOLS, DATABASE]), metavar="TOOL")
@click.argument("folder", required=False, type=click.Path(path_type=Path))
def import_(tool: str, folder: Path | None, database: str | None, migrations: tuple[str, ...]) -> None:
    """Write the migrations of another tool as pairs of files.

    TOOL is alembic, dbmate, diesel, django, drizzle, flyway, golang-migrate, goose, node-pg-migrate, prisma, refinery,
    sqitch or sqlx; or database, which writes the schema of a live database as one first file. FOLDER is the tool's own,
    which is only read. With --database it says what the tool's ledger there calls applied; pgyoyo adopt takes that over.
    No file is overwritten.
    """
    config = load(database=database, migrations=migrations)
    output, console = Path(config.migrations[0]), Console()
    project = _database(config, folder) if tool == DATABASE else tools.read(tool, folder)
    if folder is not None and folder.is_dir() and output.is_dir() and folder.samefile(output):
        raise UsageError(f"the files of {tool} are in {folder} themselves; give another folder: --migrations DIR")
    texts, following = pairs.files(project), _next(config, project, database)
    written = scaffold.write_new(output, texts)
    for path in written:
        if not path.name.endswith(ROLLBACK):
            console.answer(f"wrote {path}")
    for warning in (
        *project.warnings,
        *_without_way_back(project),
        *_naming_the_ledger(project),
        *map(str, pairs.defects(texts, output)),
    ):
        console.warn(warning)
    console.answer(f"{number(len(project.migrations), 'migration')} of {tool} in {output}; next: {following}")


def _database(config: Settings, folder: Path | None) -> Project:
    if folder is not None:
        raise UsageError("import database reads no folder; name the database with --database URL")
    from pgyoyo.schema import first  # pg_dump and the catalog: no other import needs them

    conninfo = target(config)
    with connection.connect(conninfo) as conn:
        return first.read(conn, conninfo)


def _without_way_back(project: Project) -> list[str]:
    names = [m.id for m in project.migrations if m.without_way_back]
    if not names or project.tool == DATABASE:
        return []
    them = "it" if len(names) == 1 else "them"
    return [
        f"{number(len(names), 'migration')} can't be rolled back, since {project.tool} had nothing to undo {them} with"
    ]


def _naming_the_ledger(project: Project) -> list[str]:
    """A warning for what names the table in which the tool keeps what it applied: no table of ours is called so."""
    names = ledgers.tables_of(project.tool)
    return [
        f"{migration.name} names {name}, which only {project.tool} makes; take that out"
        for migration in project.migrations
        for name in names
        if re.search(rf"(?i)\b{name}\b", migration.apply.text)
    ]


def _next(config: Settings, project: Project, database: str | None) -> str:
    """The next command, where a database is given with what its ledger says."""
    if project.tool == DATABASE:
        return "pgyoyo adopt"
    if not database:
        return "pgyoyo check, then pgyoyo adopt on a database that has them, pgyoyo apply on an empty one"
    with connection.connect(target(config)) as conn:
        ledger = next((ledger for ledger in ledgers.find(conn) if ledger.tool == project.tool), None)
        if ledger is None:
            return f"pgyoyo apply; the database has no ledger of {project.tool}"
        record = ledgers.read(conn, ledger, [migration.name for migration in project.migrations])
    if record.failed:
        return f"{ledger} {record.failed}; bring that in order with {project.tool} first"
    return f"pgyoyo adopt ({ledger} has {len(record.applied)} of them as applied)"
