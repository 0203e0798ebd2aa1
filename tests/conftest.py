"""One PostgreSQL for the whole run, databases on it, and the command line."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pytest_postgresql import factories

from pgyoyo import migration, plan
from pgyoyo.errors import ServerError
from pgyoyo.migrator import Migrator
from pgyoyo.report import Report
from pgyoyo.server import EmbeddedServer

# Nothing here has to survive a power cut.
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "200"}
SERVER = pytest.StashKey[EmbeddedServer]()
CONNINFO = pytest.StashKey[str]()

# --- The server: started once, before pytest-xdist starts its workers, which are told where it is. ---


def pytest_sessionstart(session: pytest.Session) -> None:
    config = session.config
    if hasattr(config, "workerinput"):
        config.stash[CONNINFO] = config.workerinput["server_conninfo"]
    elif not config.option.collectonly:
        config.stash[CONNINFO] = start_server(config)


def start_server(config: pytest.Config) -> str:
    try:
        if url := os.environ.get("DATABASE_URL"):
            conninfo = make_conninfo(url, dbname="postgres")
        else:
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as ctrl-C does: the server is stopped
            home = Path(tempfile.mkdtemp(prefix="pgyoyo-tests-"))
            version = int(os.environ.get("PGYOYO_TEST_POSTGRES") or 18)
            config.stash[SERVER] = server = EmbeddedServer(home, version=version, settings=FAST)
            server.ensure_running(say=lambda line: None)
            conninfo = server.conninfo("postgres")
        psycopg.connect(conninfo).close()
    except (ServerError, psycopg.Error, ValueError) as error:
        pytest.exit(f"the tests need a PostgreSQL: {error}", returncode=pytest.ExitCode.USAGE_ERROR)
    return conninfo


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:
    node.workerinput["server_conninfo"] = node.config.stash.get(CONNINFO, "")


def pytest_unconfigure(config: pytest.Config) -> None:
    if (server := config.stash.get(SERVER, None)) is not None:
        server.stop()
        shutil.rmtree(server.home)


@pytest.fixture(scope="session")
def server_conninfo(pytestconfig: pytest.Config) -> str:
    """A superuser's conninfo to the database postgres."""
    return pytestconfig.stash[CONNINFO]


# --- Databases: each test gets its own, empty. ---

numbers = count(1)


@pytest.fixture
def new_database(server_conninfo: str) -> Iterator[Callable[[], str]]:
    """Makes an empty database and returns its conninfo; all are dropped after the test, whoever is connected."""
    names: list[str] = []
    with psycopg.connect(server_conninfo, autocommit=True) as admin:

        def create() -> str:
            name = f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}_{next(numbers)}"
            admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
            names.append(name)
            return make_conninfo(server_conninfo, dbname=name)

        yield create
        for name in names:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def database(new_database: Callable[[], str]) -> str:
    """The conninfo of an empty database."""
    return new_database()


@pytest.fixture
def conn(database: str) -> Iterator[psycopg.Connection]:
    """A connection to `database`, in autocommit mode."""
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


# --- The CJ database: migrated once into pytest-postgresql's template, cloned for each test. ---

MIGRATIONS = str(Path(__file__).parent.parent / "sql" / "migrations")


def migrator(connection: psycopg.Connection, folder: str = MIGRATIONS) -> Migrator:
    return Migrator(connection, migration.read([folder]), Report(quiet=True))


def migrate_template(**target: str) -> None:
    with psycopg.connect(**{name: value for name, value in target.items() if value}, autocommit=True) as connection:
        migrator(connection).apply()


@pytest.fixture(scope="session")
def postgresql_settings(pytestconfig: pytest.Config, server_conninfo: str) -> None:
    """Tells pytest-postgresql where the server is."""
    facts = conninfo_to_dict(server_conninfo)
    for name in ("host", "port", "user", "password", "options"):
        setattr(pytestconfig.option, f"postgresql_{name}", facts.get(name) or {"options": ""}.get(name))
    pytestconfig.option.postgresql_maintenance_dbname = "postgres"


migrated_server = factories.postgresql_noproc(dbname=f"cj_{os.getpid()}_", load=[migrate_template])
migrated_clone = factories.postgresql("migrated_server")


@pytest.fixture
def migrated_db(postgresql_settings: None, request: pytest.FixtureRequest) -> psycopg.Connection:
    """A connection, not in autocommit mode, to a fresh database with all migrations."""
    return request.getfixturevalue("migrated_clone")


@dataclass(frozen=True)
class BeforeMigration:
    """A database migrated to just before one migration, so that old rows can be put in; `conn` is in autocommit mode."""

    conn: psycopg.Connection
    url: str
    migration_id: str

    def apply(self) -> None:
        """Apply that one."""
        migrator(self.conn).apply(target=self.migration_id)

    def rollback(self) -> None:
        """Roll that one back."""
        migrator(self.conn).rollback(ids=[self.migration_id])


@pytest.fixture
def migration_db(new_database: Callable[[], str]) -> Iterator[Callable[[str], BeforeMigration]]:
    """Makes a database migrated to just before the migration that is named."""
    with ExitStack() as stack:

        def create(migration_id: str) -> BeforeMigration:
            conninfo = new_database()
            connection = stack.enter_context(psycopg.connect(conninfo, autocommit=True))
            ids = [one.id for one in plan.order(migration.read([MIGRATIONS]).migrations)]
            if earlier := ids[: ids.index(migration_id)]:
                migrator(connection).apply(target=earlier[-1])
            return BeforeMigration(connection, conninfo, migration_id)

        yield create


# --- The command line, as a user runs it. ---


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def secrets() -> set[str]:
    """Passwords that no output may show; a test adds its own."""
    return set()


@pytest.fixture
def run(secrets: set[str], tmp_path: Path) -> Callable[..., Result]:
    """Runs `pgyoyo` in `cwd` (the test's own folder if not given) and returns its exit code, stdout and stderr.

    `env` is added to an environment without PG*, PGYOYO_* and DATABASE_URL. No output may hold one of the `secrets`.
    """
    pgyoyo = Path(sys.executable).parent / "pgyoyo"
    command = [str(pgyoyo)] if pgyoyo.exists() else [sys.executable, "-m", "pgyoyo"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DATABASE_URL"))}

    def run(
        *args: str | Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        input: str | None = None,  # noqa: A002 the name that subprocess gives it
        timeout: float = 60,
    ) -> Result:
        done = subprocess.run(
            [*command, *map(str, args)],
            env={**clean, **(env or {})},
            cwd=cwd or tmp_path,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            encoding="utf-8",
            timeout=timeout,
            check=False,
        )
        for secret in secrets:
            assert secret not in done.stdout, "stdout shows a password"
            assert secret not in done.stderr, "stderr shows a password"
        return Result(done.returncode, done.stdout, done.stderr)

    return run
