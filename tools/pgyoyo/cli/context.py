"""What a command works with: settings, the embedded server, a migrator on an open connection.

Imports stand inside the functions: `--help` and `new` need none of them, and psycopg's is most of what a short run costs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pgyoyo import settings
from pgyoyo.errors import PgyoyoError, ServerError

if TYPE_CHECKING:
    from pgyoyo.migrator import Migrator
    from pgyoyo.server.postgres import EmbeddedServer


def load(*, database: str | None, migrations: tuple[str, ...] = ()) -> settings.Settings:
    """The settings of this command."""
    return settings.load(database=database, migrations=migrations, environ=os.environ, directory=Path.cwd())


def note(text: str) -> None:
    """A line about the server, beside the results."""
    click.echo(text, err=True)


def embedded(found: settings.Settings) -> EmbeddedServer:
    """The embedded server of the project's folder."""
    from pgyoyo.server.postgres import EmbeddedServer

    return EmbeddedServer(found.root / ".postgres", version=found.server_version)


def target(found: settings.Settings) -> str:
    """The conninfo to connect with; starts the embedded server where it is the target."""
    from pgyoyo.engine import connection

    if found.database != settings.EMBEDDED:
        return connection.normalize(found.database)
    one = embedded(found)
    one.ensure_running(note)
    one.ensure_database(found.server_dbname)
    return one.conninfo(found.server_dbname)


def scratch_target(scratch: str | None, version: int = 180000) -> str:
    """The conninfo of a server for scratch databases: the one given, else the embedded one, of the version if it can be."""
    from pgyoyo.engine import connection
    from pgyoyo.server.postgres import EmbeddedServer

    if scratch:
        return connection.normalize(scratch)
    one = EmbeddedServer(load(database=settings.EMBEDDED).root / ".postgres", version=16 if version < 170000 else 18)
    try:
        one.ensure_running(note)
        return one.conninfo("postgres")
    except ServerError as error:
        raise ServerError(f"{error}\nor give a server for scratch databases: --scratch URL") from None


def address(one: Migrator) -> dict[str, object]:
    """Where the migrator is connected."""
    info = one.conn.info
    version = f"{info.server_version // 10000}.{info.server_version % 10000}"
    return {"name": info.dbname, "host": info.host, "port": info.port, "server_version": version}


def place(one: Migrator) -> str:
    """The same, as the first line of a console."""
    return "database {name} at {host}:{port} (PostgreSQL {server_version})".format(**address(one))


@contextmanager
def migrator(
    *,
    database: str | None,
    migrations: tuple[str, ...],
    quiet: bool,
    verbose: bool,
    wait: float | None = None,
    pause: float | None = None,
    max_replica_lag: float | None = None,
    **options: Any,
) -> Iterator[Migrator]:
    """A migrator on an open connection; what goes wrong between us and the server ends as PgyoyoError."""
    import psycopg

    from pgyoyo.console import Console
    from pgyoyo.engine import connection
    from pgyoyo.migrations import reader
    from pgyoyo.migrator import Migrator

    found = load(database=database, migrations=migrations)
    # The files first: a defect in them is said without starting or asking a server.
    folders = reader.read(found.migrations)
    limits = found.limits
    limits = limits if pause is None else replace(limits, pause=pause)
    limits = limits if max_replica_lag is None else replace(limits, max_replica_lag=max_replica_lag)
    with connection.connect(target(found), wait=wait or 0.0) as conn:
        console = Console(quiet, verbose)
        one = Migrator(conn, folders, console, wait=60.0 if wait is None else wait, limits=limits, **options)
        try:
            yield one
        except psycopg.Error as error:
            from pgyoyo.engine import failures

            raise PgyoyoError(f"{failures.server_words(error)}\n`pgyoyo status` shows what stands.") from None
        finally:
            one.conn.close()  # a run that needed a new session has another one by now
