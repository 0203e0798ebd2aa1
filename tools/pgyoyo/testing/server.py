"""What pytest works on: the server for the tests' databases, and the migrations."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING

from psycopg.conninfo import make_conninfo

from pgyoyo import settings
from pgyoyo.engine import connection
from pgyoyo.errors import ServerError, UsageError
from pgyoyo.migrations import reader
from pgyoyo.server.postgres import INSTALLS, EmbeddedServer

try:
    from pgyoyo.testing.clones import Clones
except ModuleNotFoundError as error:
    if not (error.name or "").startswith("pytest_postgresql"):
        raise
    raise UsageError("databases for tests need pytest-postgresql; run `pip install 'pgyoyo[pytest]'`") from None

if TYPE_CHECKING:
    import pytest

    from pgyoyo.migrations.migration import Folders
    from pgyoyo.settings import Settings

# Nothing in these databases has to survive a power cut.
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "128MB",
    "max_connections": "200",
}
RAM = Path("/dev/shm")  # noqa: S108 - made by the system; what is ours in it is a folder of our own
ENOUGH = 1 << 30  # bytes; a container has 64 MB unless told otherwise


@dataclass(frozen=True, slots=True)
class Place:
    """The server that one test process works on, with its databases; `in_use` is the file that all who use it lock."""

    clones: Clones
    embedded: EmbeddedServer | None = None
    in_use: IO[bytes] | None = None

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


def start(config: pytest.Config) -> Place:
    """The server that was configured, else the tests' own embedded one, started; raises PgyoyoError without one."""
    found = _settings(config)
    project = str(found.root)
    if conninfo := _told_to_pytest_postgresql(config):
        return Place(Clones(conninfo, project))
    if (database := found.require_database()) != settings.EMBEDDED:
        return Place(Clones(make_conninfo(connection.normalize(database), dbname="postgres"), project))
    # Not the developer's server: that one may lose nothing, and has other work.
    embedded = EmbeddedServer(_home(found.root), version=found.server_version, settings=FAST)
    terminal: pytest.TerminalReporter | None = config.pluginmanager.get_plugin("terminalreporter")
    embedded.home.mkdir(mode=0o711, parents=True, exist_ok=True)
    in_use = (embedded.home / f"in-use-{embedded.version}").open("ab")
    try:
        fcntl.flock(in_use, fcntl.LOCK_SH)
        embedded.ensure_running(lambda line: terminal.write_line(line) if terminal else None)  # a worker has none
        return Place(Clones(embedded.conninfo("postgres"), project), embedded, in_use)
    except BaseException:
        in_use.close()
        raise


def read_migrations(config: pytest.Config) -> Folders:
    """The migrations that pytest or pyproject.toml names; raises as reader.read."""
    # As somebody in this folder would write them.
    return reader.read([os.path.relpath(config.rootpath / folder) for folder in _settings(config).migrations])


def _settings(config: pytest.Config) -> Settings:
    """pytest's own settings first, then what the pgyoyo command goes by; the embedded server where nothing is said."""
    folders = [str(path) for path in config.getini("pgyoyo_migrations")]
    given = settings.load(
        database=config.getini("pgyoyo_database"), migrations=folders, environ=os.environ, directory=config.rootpath
    )
    return given if given.database is not None else replace(given, database=settings.EMBEDDED)


def _told_to_pytest_postgresql(config: pytest.Config) -> str | None:
    """The conninfo of the server that pytest-postgresql's options, or its lines in the ini file, name; None without."""
    if config.getini("pgyoyo_database") or not config.pluginmanager.has_plugin("pytest_postgresql"):
        return None
    names = ("host", "port", "user", "password", "options", "maintenance_dbname")
    given = {name: config.getoption(f"postgresql_{name}", None) for name in names}
    written = {name: config.getini(f"postgresql_{name}") for name in names}
    # Its host has a value also when nobody gave one.
    if not (given["host"] or given["port"] or written["port"] or written["host"] != "127.0.0.1"):
        return None
    facts = {name: given[name] or written[name] for name in names}
    facts["dbname"] = facts.pop("maintenance_dbname")
    return make_conninfo("", **{name: value for name, value in facts.items() if value})


def _home(root: Path) -> Path:
    """Where the tests' own server lives: .postgres/tests, which is in RAM where there is enough of it.

    A clone is some 300 new files: 10 ms in RAM, ten times that on a slow disk. After a restart of the machine all is
    made anew; what is in RAM for a project that is gone, or was cleaned, goes with the next run of another.
    """
    place = root / ".postgres" / "tests"
    for other in RAM.glob(f"pgyoyo-{os.geteuid()}-*"):
        with suppress(OSError, ServerError):
            owner = Path((other / "place").read_text(encoding="utf-8"))
            if other.lstat().st_uid == os.geteuid() and owner != place and not owner.is_symlink():
                for version in INSTALLS:
                    EmbeddedServer(other, version=version).stop()
                shutil.rmtree(other)
    ram = RAM / f"pgyoyo-{os.geteuid()}-{hashlib.sha256(os.fsencode(place)).hexdigest()[:12]}"
    with suppress(OSError):  # what is wrong with the place itself, the server says
        if not (place.is_dir() or place.is_symlink()) and shutil.disk_usage(RAM).free >= ENOUGH:
            place.parent.mkdir(mode=0o711, exist_ok=True)
            place.symlink_to(ram)
    if place.is_symlink():
        with suppress(FileExistsError):
            ram.mkdir(mode=0o711)
        if ram.lstat().st_uid != os.geteuid() or ram.is_symlink():  # everybody may write there
            raise ServerError(f"{ram} is not yours; have it removed, or remove {place}, and that will be on the disk")
        (ram / "place").write_text(str(place), encoding="utf-8")
    return place
