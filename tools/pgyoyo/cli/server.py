"""The command line of `pgyoyo server`: the embedded PostgreSQL."""

import click

from pgyoyo import settings
from pgyoyo.cli.context import embedded, load, note, target
from pgyoyo.cli.options import place_options
from pgyoyo.errors import UsageError


@click.group()
def server() -> None:
    """The embedded PostgreSQL of this checkout."""


@server.command("start")
@place_options
def server_start(database: str | None, migrations: tuple[str, ...]) -> None:
    """Start it, and make its database if it is not there."""
    found = own_server(database, migrations)
    one = embedded(found)
    click.echo("started" if one.ensure_running(note) else "is running already", nl=False)
    one.ensure_database(found.server_dbname)
    click.echo(f": {one.url(found.server_dbname)}")


@server.command("stop")
@place_options
def server_stop(database: str | None, migrations: tuple[str, ...]) -> None:
    """Stop it, whichever version runs; its data stays."""
    from pgyoyo.server.postgres import INSTALLS, EmbeddedServer

    home = own_server(database, migrations).root / ".postgres"
    stopped = [version for version in INSTALLS if EmbeddedServer(home, version=version).stop()]
    click.echo("\n".join(f"stopped PostgreSQL {version}" for version in stopped) or "was not running")


@server.command("url")
@place_options
def server_url(database: str | None, migrations: tuple[str, ...]) -> None:
    """Print the database's URL, its password left out."""
    from pgyoyo.engine import connection

    found = load(database=database, migrations=migrations)
    if found.database == settings.EMBEDDED:
        one = embedded(found)
        one.ensure_running(note)
        one.ensure_database(found.server_dbname)
        click.echo(one.url(found.server_dbname))
    else:
        click.echo(connection.redact(found.database, found.database) or "libpq's environment (PGHOST, PGSERVICE, …)")


@server.command("psql", context_settings={"ignore_unknown_options": True})
@place_options
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def server_psql(database: str | None, migrations: tuple[str, ...], arguments: tuple[str, ...]) -> None:
    """Open psql on the database; further arguments are psql's."""
    from pgyoyo.server import psql

    found = load(database=database, migrations=migrations)
    psql.psql(target(found), arguments, embedded(found))


def own_server(database: str | None, migrations: tuple[str, ...]) -> settings.Settings:
    """The settings with the embedded server as the target; raises UsageError where --database names another one."""
    if database and database != settings.EMBEDDED:
        raise UsageError("--database names a server of your own; only the embedded one is started and stopped here")
    return load(database=settings.EMBEDDED, migrations=migrations)
