"""pgyoyo server: the embedded PostgreSQL."""

import click

from pgyoyo.cli.config import load, note
from pgyoyo.cli.context import embedded, target
from pgyoyo.cli.options import examples, place_options
from pgyoyo.console import Console
from pgyoyo.engine import connection
from pgyoyo.errors import UsageError
from pgyoyo.server import psql as client
from pgyoyo.server import scratch_server, tcp, tests_server
from pgyoyo.server.postgres import EmbeddedServer, made
from pgyoyo.settings import EMBEDDED, Settings


@click.group(epilog=examples("pgyoyo server start", "pgyoyo server psql"))
def server() -> None:
    """Start, stop and use the embedded PostgreSQL.

    Each project has its own, with its data in .postgres beside pyproject.toml. Scratch databases are on another one, in
    .postgres/scratch.
    """


@server.command(epilog=examples("pgyoyo server start"))
@place_options
def start(database: str | None, migrations: tuple[str, ...]) -> None:
    """Start it, and create its database if there is none."""
    config = _own_server(database, migrations)
    own = embedded(config)
    started = own.ensure_running(note)
    own.ensure_database(config.server_dbname)
    Console().answer(f"{'started' if started else 'is running already'}: {own.url(config.server_dbname)}")


@server.command(epilog=examples("pgyoyo server stop", "pgyoyo server stop --tests"))
@place_options
@click.option("--tests", is_flag=True, help="Stop the tests' own server instead, which a failed test leaves running.")
def stop(database: str | None, migrations: tuple[str, ...], tests: bool) -> None:  # noqa: FBT001 - click passes by name
    """Stop it, and the one for scratch databases; their data stays."""
    root = _own_server(database, migrations).root
    if tests:
        stopped = [f"stopped PostgreSQL {version}" for version in tests_server.stop(root)]
    else:
        home = root / ".postgres"
        own = [version for version in made(home) if EmbeddedServer(home, version=version).stop()]
        stopped = [f"stopped PostgreSQL {version}" for version in own]
        stopped += [f"stopped PostgreSQL {version} for scratch databases" for version in scratch_server.stop(root)]
    Console().answer("\n".join(stopped) or "PostgreSQL was not running")


@server.command(epilog=examples("pgyoyo server url", "pgyoyo server url --tcp"))
@place_options
@click.option(
    "--tcp", "by_tcp", is_flag=True, help="Open the embedded server on 127.0.0.1, and print a URL with its password."
)
def url(database: str | None, migrations: tuple[str, ...], by_tcp: bool) -> None:  # noqa: FBT001 - click passes by name
    """Print the database's URL, without its password.

    With --tcp the embedded server also listens on a port of 127.0.0.1, for programs that know no Unix sockets.
    """
    if by_tcp:
        config = _own_server(database, migrations)
        own = embedded(config)
        own.ensure_running(note)
        own.ensure_database(config.server_dbname)
        Console().answer(tcp.url(own, config.server_dbname, note))
        return
    config = load(database=database, migrations=migrations)
    address = config.require_database()
    if address == EMBEDDED:
        target(config)
        Console().answer(embedded(config).url(config.server_dbname))
    else:
        Console().answer(connection.redact(address, address) or "libpq's environment (PGHOST, PGSERVICE, …)")


def _client(program: str, words: str, *lines: str) -> click.Command:
    """The command that becomes a client program on the database."""

    @click.command(program, help=words, context_settings={"ignore_unknown_options": True}, epilog=examples(*lines))
    @place_options
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def command(database: str | None, migrations: tuple[str, ...], arguments: tuple[str, ...]) -> None:
        config = load(database=database, migrations=migrations)
        client.become(program, target(config), arguments, embedded(config))

    return command


server.add_command(
    _client(
        "psql", "Open psql on the database; further arguments are psql's.",
        "pgyoyo server psql", "pgyoyo server psql --command 'SELECT now()'",
    )
)  # fmt: skip
server.add_command(
    _client(
        "pg_dump", "Run pg_dump on the database, with further arguments.",
        "pgyoyo server pg_dump --schema-only", "pgyoyo server pg_dump --format=custom --file=app.dump",
    )
)  # fmt: skip
server.add_command(
    _client(
        "pg_restore", "Run pg_restore on the database, with further arguments.",
        "pgyoyo server pg_restore --clean app.dump",
    )
)  # fmt: skip


def _own_server(database: str | None, migrations: tuple[str, ...]) -> Settings:
    """The settings; raises UsageError where --database names a server that is not the embedded one."""
    if database and database != EMBEDDED:
        raise UsageError("--database names a server of your own; this command starts and stops only the embedded one")
    return load(migrations=migrations)
