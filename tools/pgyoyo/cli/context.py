"""What commands on a database share: the embedded server, and a migrator on an open connection."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

import pgyoyo.scratch
import pgyoyo.server
from pgyoyo.cli.config import note
from pgyoyo.console import Console
from pgyoyo.engine import connection, ledger
from pgyoyo.errors import ConnectError, DriftError, ServerError
from pgyoyo.migrations import reader
from pgyoyo.migrations.migration import Folders
from pgyoyo.migrator import Migrator
from pgyoyo.server import libpq
from pgyoyo.settings import EMBEDDED, Settings

if TYPE_CHECKING:
    from psycopg import Connection

    from pgyoyo.scratch.defaults import Defaults
    from pgyoyo.server.postgres import EmbeddedServer


def embedded(config: Settings) -> "EmbeddedServer":
    """The embedded server of the project, which its own database is on."""
    return pgyoyo.server.postgres.EmbeddedServer(
        config.root / ".postgres", version=config.server_version, programs=config.server_bin
    )


def target(config: Settings) -> connection.Target:
    """The conninfo to connect with, and the ledger's name; starts the embedded server where it is the target."""
    return connection.Target(_conninfo(config), config.migration_table)


def _conninfo(config: Settings) -> str:
    database = config.require_database()
    if database != EMBEDDED:
        return connection.normalize(database)
    server = embedded(config)
    libpq.leave_out(os.environ)
    server.ensure_running(note)
    server.ensure_database(config.server_dbname)
    return server.conninfo(config.server_dbname)


def scratch_target(config: Settings, scratch: str | None, version: int | None = None) -> str:
    """The conninfo of a server for scratch databases: the one given, else the project's own, which holds nothing else.

    That one is of the project's own version where that is the one of `version` (a server_version_num), or its programs are
    named; else of that version, if its programs are on this machine; else of the version of a wheel that is nearest to it.
    """
    if scratch:
        return connection.normalize(scratch)
    is_chosen = version is None or config.server_bin or version // 10000 == config.server_version
    chosen = config.server_version if is_chosen or version is None else _nearest(version // 10000)
    # A target that these name is connected by now.
    libpq.leave_out(os.environ)
    try:
        programs = config.server_bin if chosen == config.server_version else None
        server = pgyoyo.server.scratch_server.running(config.root, version=chosen, programs=programs, say=note)
        return pgyoyo.scratch.rights.on_own_server(server.conninfo("postgres"))
    except ServerError as error:
        raise ServerError(f"{error}\nOr give a server for scratch databases: --scratch URL") from None


def _nearest(version: int) -> int:
    """The version of a server for scratch databases that is like one of that major version."""
    return version if pgyoyo.server.installs.is_here(version) else 16 if version < 17 else 18


def target_defaults(config: Settings, folders: Folders, console: Console) -> "Defaults":
    """What sessions of the database begin with that is configured, for files that are run elsewhere; reads only.

    Nothing where none is configured, and with a note where it can't be reached. The embedded server is started for it only
    where it has been made: what it holds decides the same, whether it happens to run or not.
    """
    if config.database is None:
        return pgyoyo.scratch.defaults.NONE
    order = (*folders.migrations, *folders.hooks)
    try:
        if config.database != EMBEDDED:
            conninfo = connection.normalize(config.database)
        elif not (server := embedded(config)).data.exists():
            return pgyoyo.scratch.defaults.NONE
        else:
            server.ensure_running(note)
            conninfo = server.conninfo(config.server_dbname)
        with connection.connect(connection.Target(conninfo, config.migration_table)) as conn:
            return pgyoyo.scratch.defaults.read(conn, order, ledger.read(conn, known=folders.migrations).schema)
    except (ConnectError, DriftError, ServerError) as error:
        if config.database != EMBEDDED:
            reason = ": ".join(line.strip() for line in str(error).splitlines()[:2])
            console.note(f"the settings of the scratch server are taken: {reason}")
        return pgyoyo.scratch.defaults.NONE


def address(connected: Migrator) -> dict[str, object]:
    """Where the migrator is connected."""
    info = connected.conn.info
    version = f"{info.server_version // 10000}.{info.server_version % 10000}"
    return {"name": info.dbname, "host": info.host, "port": info.port, "server_version": version}


def place(connected: Migrator) -> str:
    """The same, as the first line of a console."""
    return "database {name} at {host}:{port} (PostgreSQL {server_version})".format(**address(connected))


def _connect(conninfo: connection.Target, wait: float | None) -> "Connection":
    """A connection; the error names the option that waits for a server, where the command has it."""
    try:
        return connection.connect(conninfo, wait=wait or 0.0)
    except ConnectError as error:
        options = [parameter.name for parameter in click.get_current_context().command.params]
        if "wait" not in options or not error.passes:
            raise
        raise ConnectError(f"{error} --wait 60s waits for one that is starting.", passes=True) from None


@contextmanager
def migrator(
    config: Settings,
    *,
    quiet: bool = False,
    verbose: bool = False,
    wait: float | None = None,
    pause: float | None = None,
    max_replica_lag: float | None = None,
    **options: Any,
) -> Iterator[Migrator]:
    """A migrator on an open connection to the target."""
    # The files first: a defect in them is reported without starting or asking a server.
    folders = reader.read(config.migrations)
    limits = config.limits
    limits = limits if pause is None else replace(limits, pause=pause)
    limits = limits if max_replica_lag is None else replace(limits, max_replica_lag=max_replica_lag)
    conninfo = target(config)
    since = time.monotonic()
    with _connect(conninfo, wait) as conn:
        console = Console(quiet, verbose)
        # The seconds that the server took to answer are a part of the whole wait.
        left = 60.0 if wait is None else max(0.0, wait - int(time.monotonic() - since))
        connected = Migrator(
            conn, folders, console, wait=left, limits=limits, embedded=config.database == EMBEDDED, **options
        )
        try:
            yield connected
        finally:
            connected.conn.close()  # a run that needed a new session has another one by now
