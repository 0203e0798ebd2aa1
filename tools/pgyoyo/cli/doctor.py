"""pgyoyo doctor."""

import json
import sys
from collections.abc import Iterator

import click

from pgyoyo import extensions
from pgyoyo.cli.config import load
from pgyoyo.cli.context import embedded
from pgyoyo.cli.options import examples, format_option, place_options
from pgyoyo.console import Console
from pgyoyo.doctor import database as looking
from pgyoyo.doctor import files, server
from pgyoyo.doctor.line import Line, has_fault
from pgyoyo.engine import connection
from pgyoyo.errors import PgyoyoError, ServerError
from pgyoyo.migrations.migration import Folders
from pgyoyo.server import scratch_server
from pgyoyo.server.postgres import EmbeddedServer
from pgyoyo.settings import EMBEDDED, Settings


@click.command(epilog=examples("pgyoyo doctor", "pgyoyo doctor --format json"))
@place_options
@format_option
def doctor(database: str | None, migrations: tuple[str, ...], layout: str) -> None:
    """Show what is here, and what to do about it.

    Settings, files, servers, the ledger, rights, and who waits: the first command in a strange project. Reads only, and
    starts no server. Exits with 1 if something stops the other commands.
    """
    config = load(database=database, migrations=migrations)
    lines = list(_lines(config))
    if layout == "json":
        content = {"ok": not has_fault(lines), "lines": [line._asdict() for line in lines]}
        Console().data(json.dumps(content, indent=2))
    else:
        Console().answer("\n".join(map(str, lines)))
    if has_fault(lines):
        sys.exit(1)


def _lines(config: Settings) -> Iterator[Line]:
    yield from files.settings_lines(config)
    folders, reading_lines = files.read(config)
    yield from reading_lines
    needed = sorted({entry.name for entry in extensions.needed(m.apply for m in folders.migrations)})
    own = embedded(config)
    scratch = EmbeddedServer(scratch_server.place(config.root), version=own.version)
    yield from server.embedded_lines(own, scratch, needed, is_target=config.database == EMBEDDED)
    yield from _database(config, folders, needed)


def _database(config: Settings, folders: Folders, needed: list[str]) -> Iterator[Line]:
    if config.database is None:
        unset = config.ini and config.ini.unset
        advice = (
            "set it, or DATABASE_URL" if unset else 'set DATABASE_URL, or database = "embedded" under [tool.pgyoyo]'
        )
        yield Line("fault", "database", unset or "none is named", advice)
        return
    try:
        conninfo = _address(config)
        if conninfo is None:
            yield Line(
                "note",
                "database",
                "the embedded server does not run, so its database was not looked at",
                "pgyoyo apply starts it",
            )
            return
        with connection.connect(connection.Target(conninfo, config.migration_table)) as conn:
            conn.execute("SET lock_timeout = '2s'; SET statement_timeout = '30s'")
            yield from looking.lines(conn, folders, needed)
    except PgyoyoError as error:
        yield Line("fault", "database", str(error))


def _address(config: Settings) -> str | None:
    """The conninfo of the target; None where it is the embedded server, and that does not run."""
    if config.database != EMBEDDED:
        return connection.normalize(config.require_database())
    try:
        own = embedded(config)
        return own.conninfo(config.server_dbname) if own.is_running() else None
    except ServerError:
        return None
