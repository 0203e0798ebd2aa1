"""The server for the tests' databases, and the migrations to test."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import IO, TYPE_CHECKING

from psycopg.conninfo import make_conninfo
from psycopg.pq import Conninfo

from pgyoyo import settings
from pgyoyo.engine import connection
from pgyoyo.errors import PgyoyoError, UsageError
from pgyoyo.migrations import reader
from pgyoyo.server import in_memory, libpq, tests_server
from pgyoyo.server.postgres import EmbeddedServer
from pgyoyo.testing import tenants
from pgyoyo.testing.clones import Clones

if TYPE_CHECKING:
    import pytest

    from pgyoyo.migrations.migration import Folders
    from pgyoyo.settings import Settings

# A server for tests only, unlike DATABASE_URL, which may be the one that users work on.
TEST_DATABASE = "PGYOYO_TEST_DATABASE_URL"


@dataclass(frozen=True, slots=True)
class Place:
    """The server of a test process, with its databases; every process that uses an embedded one locks the file `in_use`.

    The log may be cut at `log_start`: what stands behind it was written for a recording.
    """

    clones: Clones
    embedded: EmbeddedServer | None = None
    in_use: IO[bytes] | None = None
    log_start: int | None = None

    def close(self) -> None:
        """End the session; the last process on an embedded server stops it, unless a database on it was kept."""
        kept = self.clones.close()
        if self.embedded and self.in_use:
            with self.in_use:
                try:
                    fcntl.flock(self.in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return
                if not kept:
                    self.embedded.stop()
                if self.log_start is not None:
                    os.truncate(self.embedded.log, self.log_start)


def start(config: pytest.Config, *, recorded: str = "") -> Place:
    """The server that was named for tests, else the tests' own embedded one, started; raises PgyoyoError without one.

    With `recorded`, part of the names of the databases whose statements are recorded, it has to be the embedded one.
    """
    loaded = _settings(config)
    project, tenant = str(loaded.root), tenants.tenant(config, loaded)
    conninfo, remark = _chosen(config, loaded)
    if conninfo and recorded:
        raise UsageError(
            "--pgyoyo-record reads the log of the embedded server, and these tests run on another: "
            f"write -o pgyoyo_database=embedded, and leave {TEST_DATABASE} unset"
        )
    if conninfo:
        return Place(Clones(conninfo, project, tenant=tenant))
    terminal: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")

    def say(line: str) -> None:
        if terminal:  # a worker has none
            terminal.write_line(line)

    if remark and remark not in header(config):
        say(remark)
    # Not the developer's server, whose data must survive a crash.
    libpq.leave_out(os.environ)
    embedded = EmbeddedServer(
        tests_server.home(loaded.root),
        version=loaded.server_version,
        settings=in_memory.FAST,
        programs=loaded.server_bin,
    )
    embedded.home.mkdir(mode=0o711, parents=True, exist_ok=True)
    in_use = (embedded.home / f"in-use-{embedded.version}").open("ab")
    try:
        fcntl.flock(in_use, fcntl.LOCK_SH)
        embedded.ensure_running(say)
        clones = Clones(embedded.conninfo("postgres"), project, embedded=True, recorded=recorded, tenant=tenant)
        return Place(clones, embedded, in_use)
    except BaseException:
        in_use.close()
        raise


def header(config: pytest.Config) -> list[str]:
    """The line for pytest's header where the environment names a server that tests don't use."""
    if not any(os.environ.get(name) for name in ("DATABASE_URL", *settings.LIBPQ)):
        return []
    try:
        return [line for line in _chosen(config, _settings(config))[1:] if line]
    except PgyoyoError:
        return []


def _chosen(config: pytest.Config, loaded: Settings) -> tuple[str, str]:
    """The conninfo of a server, empty for the embedded one, and a remark if that is not what the settings name.

    Databases are made and dropped only on a server that was named for tests, or that runs on this machine.
    """
    named = os.environ.get(TEST_DATABASE) or config.getini("pgyoyo_database")
    if not named and (conninfo := _pytest_postgresqls(config)):
        return conninfo, ""
    database = named or loaded.require_database()
    if database == settings.EMBEDDED:
        return "", ""
    database = connection.normalize(database)
    if named or (host := _elsewhere(database)) is None:
        return make_conninfo(database, dbname="postgres"), ""
    return "", (
        f"pgyoyo: tests run on the embedded PostgreSQL, not on {host}, which is not this machine; "
        f"to run them there, set {TEST_DATABASE}"
    )


def _elsewhere(conninfo: str) -> str | None:
    """A host of the conninfo, or of libpq's environment, that is not this machine; None if there is none."""
    given = {option.keyword: option.val for option in Conninfo.parse(conninfo.encode()) if option.val}
    if service := given.get(b"service"):
        return f"service {service.decode()}"
    defaults = {option.keyword: option.val for option in Conninfo.get_defaults() if option.val}
    for keyword in (b"hostaddr", b"host"):
        if hosts := given.get(keyword) or defaults.get(keyword):
            return next((name for name in hosts.decode(errors="replace").split(",") if not _is_here(name)), None)
    return None


def _is_here(host: str) -> bool:
    if host in ("", "localhost") or host.startswith(("/", "@")):
        return True
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return False


def read_migrations(config: pytest.Config) -> Folders:
    """The migrations that pytest or pyproject.toml names; raises as reader.read."""
    # Relative, as messages of the command show them.
    return reader.read([os.path.relpath(config.rootpath / folder) for folder in _settings(config).migrations])


def migration_table(config: pytest.Config) -> str:
    """The name of the ledger's table."""
    return _settings(config).migration_table


def _settings(config: pytest.Config) -> Settings:
    """pytest's own settings first, then those of the pgyoyo command; the embedded server where none names one."""
    folders = [str(path) for path in config.getini("pgyoyo_migrations")]
    loaded = settings.load(database=None, migrations=folders, environ=os.environ, directory=config.rootpath)
    return loaded if loaded.database is not None else replace(loaded, database=settings.EMBEDDED)


def _pytest_postgresqls(config: pytest.Config) -> str | None:
    """The conninfo of the server that pytest-postgresql's options or ini settings name; None if they name none."""
    if not config.pluginmanager.has_plugin("pytest_postgresql"):
        return None
    names = ("host", "port", "user", "password", "options", "maintenance_dbname")
    given = {name: config.getoption(f"postgresql_{name}", None) for name in names}
    written = {name: config.getini(f"postgresql_{name}") for name in names}
    # Its host has a default.
    if not (given["host"] or given["port"] or written["port"] or written["host"] != "127.0.0.1"):
        return None
    facts = {name: given[name] or written[name] for name in names}
    facts["dbname"] = facts.pop("maintenance_dbname")
    return make_conninfo("", **{name: value for name, value in facts.items() if value})
