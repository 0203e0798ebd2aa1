"""pgyoyo schema, verify: the schema that the migrations give, as files and beside the live one."""

import sys
from pathlib import Path
from typing import Any

import click

from pgyoyo.cli.config import load
from pgyoyo.cli.context import migrator, place, scratch_target, target_defaults
from pgyoyo.cli.options import common, examples, migrations_option, scratch_option
from pgyoyo.console import Console
from pgyoyo.migrations import reader
from pgyoyo.schema import files
from pgyoyo.schema import verify as verifying


@click.command(epilog=examples("pgyoyo schema", "pgyoyo schema --check"))
@migrations_option
@scratch_option
@click.option("--check", is_flag=True, help="Write nothing; exit with 4 and a diff if the files are out of date.")
@click.option("--output", metavar="FOLDER", help="Folder to write to; by default the one above the migrations.")
def schema(check: bool, migrations: tuple[str, ...], scratch: str | None, output: str | None) -> None:  # noqa: FBT001 - click passes by name
    """Write schema.sql and schema.md.

    They show the schema after all migrations, taken from a scratch database: one for psql, one for people.
    """
    config = load(migrations=migrations)
    folders = reader.read(config.migrations)
    folder = Path(output) if output else files.beside(folders)
    server = scratch_target(config, scratch)
    written = files.build(folders, server, folder, target_defaults(config, folders, Console()))
    if check:
        files.check(written)
    changed = [] if check else files.write(written)
    for path in written:
        Console().answer(f"wrote {path}" if path in changed else f"{path} is up to date")


@click.command(epilog=examples("pgyoyo verify", 'pgyoyo verify --ignore "index *.tmp_*"'))
@common
@scratch_option
@click.option(
    "--ignore", "patterns", metavar="PATTERN", multiple=True,
    help='Expected differences, as "index *.tmp_*"; may be given more than once.',
)  # fmt: skip
@click.option("--owners", is_flag=True, help="Compare owners even where the scratch server lacks their roles.")
def verify(
    database: str | None,
    migrations: tuple[str, ...],
    patterns: tuple[str, ...],
    scratch: str | None,
    owners: bool,  # noqa: FBT001 - click passes by name
    **options: Any,
) -> None:
    """Compare files with the ledger, and the schema with the files.

    The live schema is compared with what the applied migrations produce on a scratch database. Read-only. Exits with 4 if
    anything differs.
    """
    config = load(database=database, migrations=migrations)
    rules = [verifying.Ignore(pattern, reason) for pattern, reason in config.ignore]
    rules += [verifying.Ignore(pattern, "--ignore") for pattern in patterns]
    with migrator(config, **options) as connected:
        server = scratch_target(config, scratch, connected.conn.info.server_version)
        verdict = verifying.verify(connected, server, rules, owners=owners)
        connected.console.answer("\n".join([place(connected), *verifying.verdict_lines(verdict)]))
    if verdict.ledger or verdict.changes:
        sys.exit(4)
