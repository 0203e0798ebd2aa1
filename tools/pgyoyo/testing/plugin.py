"""The pytest plugin: a migrated database for every test.

Every project that has pgyoyo installed loads this module, so slow imports stand where a test first needs a database.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest

from pgyoyo.errors import PgyoyoError

if TYPE_CHECKING:
    from psycopg import Connection

    from pgyoyo.migrations.migration import Folders
    from pgyoyo.prove.proof import Proof
    from pgyoyo.testing.history import BeforeMigration
    from pgyoyo.testing.server import Place

SERVER = pytest.StashKey["Place"]()
RECORDED = "pgyoyo_recorded"  # what names a run's databases, in what pytest-xdist gives its workers
NAMES = pytest.StashKey[list[str]]()  # the databases of a test
FAILED = pytest.StashKey[bool]()
CHECKS = "pgyoyo.testing.checks"


def _module(name: str) -> Any:
    """A module of this room, imported when it is first needed."""
    return import_module(f"pgyoyo.testing.{name}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """--pgyoyo-keep, --pgyoyo-record and the settings of the ini file."""
    group = parser.getgroup("pgyoyo")
    group.addoption(
        "--pgyoyo-record",
        metavar="FILE",
        help="Write the statements that the tests send to their databases to FILE, for `pgyoyo review --queries`.",
    )
    group.addoption(
        "--pgyoyo-keep",
        choices=["failed", "all", "none"],
        default="failed",
        help="Whose databases stay until the next run, their URL in the report: of failed tests (the default), all, none.",
    )
    parser.addini("pgyoyo_migrations", "Folders of .sql files; else as for the pgyoyo command.", "paths", [])
    parser.addini(
        "pgyoyo_fleet", "A fleet of schemas: databases have what they share, and one schema with the migrations."
    )
    parser.addini("pgyoyo_schema", "The name of that schema.", default="tenant")
    parser.addini(
        "pgyoyo_database",
        'URL of the server that tests run on, or "embedded"; else one on this machine.',
    )


def pytest_configure(config: pytest.Config) -> None:
    """The process that was started records what all workers of pytest-xdist sent."""
    if config.option.pgyoyo_record and not config.option.collectonly and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_module("recording").Recorder(SERVER, RECORDED))


def pytest_report_header(config: pytest.Config) -> list[str]:
    """A line where DATABASE_URL or libpq's variables name a server that tests don't use."""
    if not any(os.environ.get(name) for name in ("DATABASE_URL", "PGHOST", "PGHOSTADDR", "PGSERVICE")):
        return []
    lines: list[str] = _module("server").header(config)
    return lines


# --- The server: started before a process runs its first test, if any test asks for a database. ---


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Without a server no test runs: the run stops with a single message."""
    config = session.config
    needed = any("pgyoyo_server" in getattr(item, "fixturenames", ()) for item in session.items)
    if config.option.collectonly or not needed:
        return None
    try:
        _start(config)
    except PgyoyoError as error:
        if not hasattr(config, "workerinput"):
            raise pytest.UsageError(str(error)) from None
        session.shouldstop = str(error)  # so a worker of pytest-xdist ends the whole run
        return True
    return None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave the server as it was."""
    if SERVER in config.stash:
        config.stash[SERVER].close()


def _start(config: pytest.Config) -> Place:
    if SERVER not in config.stash:
        recorded = getattr(config, "workerinput", {}).get(RECORDED, "")
        config.stash[SERVER] = _module("server").start(config, recorded=recorded)
    return config.stash[SERVER]


# --- Fixtures ---


@contextmanager
def _as_a_failure() -> Iterator[None]:
    """An error of pgyoyo is the test's message, without a traceback."""
    try:
        yield
    except PgyoyoError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture(scope="session")
def pgyoyo_server(pytestconfig: pytest.Config) -> str:
    """The URL of the server that the tests run on, for a role that may create databases there."""
    with _as_a_failure():
        return _start(pytestconfig).clones.url()  # started by now, unless a test asks for it in its body


@pytest.fixture(scope="session")
def pgyoyo_migrations(pytestconfig: pytest.Config) -> Folders:
    """The migrations as they are read from the disk."""
    with _as_a_failure():
        folders: Folders = _module("server").read_migrations(pytestconfig)
        return folders


@pytest.fixture
def pgyoyo_clone(
    request: pytest.FixtureRequest,
    pgyoyo_server: str,  # noqa: ARG001 - it starts the server
) -> Iterator[Callable[[Folders], str]]:
    """Makes a database with the given migrations, dropped after the test or kept (--pgyoyo-keep); returns its URL."""
    clones, node, keep = request.config.stash[SERVER].clones, request.node, request.config.option.pgyoyo_keep
    names = node.stash.setdefault(NAMES, [])

    def make(folders: Folders) -> str:
        with _as_a_failure():
            names.append(clones.clone(clones.template(folders)))
        return clones.url(names[-1])

    yield make
    if keep == "none" or (keep == "failed" and not node.stash.get(FAILED, False)):
        while names:
            clones.discard(names.pop())


@pytest.fixture
def migrated_url(pgyoyo_clone: Callable[[Folders], str], pgyoyo_migrations: Folders) -> str:
    """The URL of a fresh database with all migrations; `migrated_db` is a connection to the same one."""
    return pgyoyo_clone(pgyoyo_migrations)


@pytest.fixture
def migrated_db(request: pytest.FixtureRequest, migrated_url: str) -> Iterator[Connection]:
    """A connection, not in autocommit mode, to a fresh database with all migrations."""
    connection = _module("sessions").open_session(migrated_url)
    try:
        yield connection
    finally:
        _module("sessions").end(connection, keep=request.node.stash.get(FAILED, False))


def _migrated_url(
    request: pytest.FixtureRequest,
    pgyoyo_server: str,  # noqa: ARG001 - it starts the server
    pgyoyo_migrations: Folders,
) -> Iterator[str]:
    """The URL of a fresh database with all migrations, which all tests of the fixture's scope share."""
    clones = request.config.stash[SERVER].clones
    with _as_a_failure():
        name = clones.clone(clones.template(pgyoyo_migrations))
    yield clones.url(name)
    if request.config.option.pgyoyo_keep != "all":
        clones.discard(name)


migrated_module_url = pytest.fixture(_migrated_url, scope="module", name="migrated_module_url")
migrated_session_url = pytest.fixture(_migrated_url, scope="session", name="migrated_session_url")


@pytest.fixture(scope="session")
def pgyoyo_transactions(pgyoyo_server: str, pgyoyo_migrations: Folders, pytestconfig: pytest.Config) -> Iterator[Any]:  # noqa: ARG001 - it starts the server
    """Gives transactions in one database with all migrations."""
    with _as_a_failure():
        transactions = _module("sessions").Transactions(pytestconfig.stash[SERVER].clones, pgyoyo_migrations)
    yield transactions
    transactions.close()


@pytest.fixture
def migrated_transaction(pgyoyo_transactions: Any) -> Iterator[Connection]:
    """A connection in a transaction that is rolled back after the test, in a database that such tests share.

    `commit()` is refused; what sequences gave is not given back.
    """
    with pgyoyo_transactions.begin() as connection:
        yield connection


@pytest.fixture
def migration_db(
    request: pytest.FixtureRequest, pgyoyo_clone: Callable[[Folders], str], pgyoyo_migrations: Folders
) -> Iterator[Callable[[str], BeforeMigration]]:
    """Makes a database migrated to just before the migration that is named, so that old rows can be put in."""
    clones = request.config.stash[SERVER].clones
    with ExitStack() as stack:

        def make(name: str) -> BeforeMigration:
            with _as_a_failure():
                database: BeforeMigration = _module("history").before(name, pgyoyo_migrations, pgyoyo_clone, clones)
            stack.callback(lambda: database.conn.close())  # noqa: PLW0108 - a run may have taken a new one
            return database

        yield make


# --- Kept databases, and the ready-made tests of checks.py ---


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """The report of a failed test shows the URLs of its databases, without a password."""
    report = yield
    before = item.stash.get(FAILED, False) and call.when != "setup"  # a test may run again
    item.stash[FAILED] = before or report.failed
    names, keep = item.stash.get(NAMES, []), item.config.option.pgyoyo_keep
    if names and ((keep == "failed" and report.failed and not before) or (keep == "all" and call.when == "call")):
        urls = [repr(item.config.stash[SERVER].clones.url(name)) for name in names]
        report.sections.append(("database kept until the next run", "\n".join(f"psql {url}" for url in urls)))
    return report


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The ready-made test of a migration runs for each; if the files have defects, once, and fails with them."""
    if metafunc.function.__module__ == CHECKS and "migration_id" in metafunc.fixturenames:
        try:
            ids = _module("history").ids(_module("server").read_migrations(metafunc.config))
        except PgyoyoError:
            ids = ["unreadable"]
        metafunc.parametrize("migration_id", ids)


@pytest.fixture(scope="session")
def pgyoyo_rehearsed(pgyoyo_server: str, pgyoyo_migrations: Folders, pytestconfig: pytest.Config) -> Folders:  # noqa: ARG001 - it starts the server
    """The migrations as they are rehearsed on this server: its templates have the roles that they make."""
    try:
        folders: Folders = pytestconfig.stash[SERVER].clones.beside_templates(pgyoyo_migrations)
    except PgyoyoError:  # the rehearsal shows what is wrong
        return pgyoyo_migrations
    return folders


@pytest.fixture(scope="session")
def pgyoyo_proof(
    pgyoyo_server: str, pgyoyo_rehearsed: Folders, pytestconfig: pytest.Config
) -> Iterator[Callable[[str], Proof]]:
    """What `pgyoyo prove` finds of a migration; all before it are proved by then, each once in a process."""
    tenant = pytestconfig.stash[SERVER].clones.tenant
    with _module("history").proofs(pgyoyo_server, pgyoyo_rehearsed, tenant.shared if tenant else ()) as proof:

        def proof_of(migration_id: str) -> Proof:
            with _as_a_failure():
                result: Proof = proof(migration_id)
            return result

        yield proof_of
