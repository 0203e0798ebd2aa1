"""A server, databases on it, and the command line. Where the server is, and `migrated_db`, is pgyoyo's own plugin's work."""

import gc
import os
import shutil
import signal
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

import own_server as servers
import staging
from pgyoyo.cli.main import main
from pgyoyo.console import Console
from pgyoyo.engine.connection import end
from pgyoyo.review import calibrate
from pgyoyo.review.estimate import Rates
from pgyoyo.review.stage import RehearsalDatabases
from pgyoyo.scratch import databases
from pgyoyo.server.in_memory import FAST
from pgyoyo.server.postgres import EmbeddedServer
from running import Runners

# For the plugin, here and in the workers of pytest-xdist.
os.environ["PGYOYO_SERVER_VERSION"] = os.environ.get("PGYOYO_TEST_POSTGRES") or "18"

pytest_plugins = ["pytester"]


@pytest.fixture(scope="session")
def server_conninfo(pgyoyo_server: str) -> str:
    """A superuser's conninfo to the database postgres."""
    return make_conninfo(pgyoyo_server)


@pytest.fixture(scope="session")
def own_server() -> Iterator[EmbeddedServer]:
    """A server that no other test process works on: it may be restarted, and nobody's transaction keeps dead rows.

    A crash of it loses nothing that was committed: the operating system lives on.
    """
    with servers.own_server(
        {
            "fsync": "off",
            "autovacuum": "off",
            "max_prepared_transactions": "2",
            "log_line_prefix": FAST["log_line_prefix"],
        },
        memory=True,
    ) as server:
        yield server


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Twice as many processes as cores: a third of the tests' time is spent in waiting."""
    return 2 * (os.cpu_count() or 1)


def pytest_collection_finish() -> None:
    """Keep the collected tests out of the garbage collections that pytest forces at the end of a run."""
    gc.collect()
    gc.freeze()


def chromium() -> str | None:
    """The path of a Chromium, if there is one."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.hookimpl(tryfirst=True)  # before pytest itself chooses by -m
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that need a browser; without one they are left out, unless `-m browser` asks for them."""
    left_out = chromium() is None and config.getoption("markexpr") != "browser"
    for item in items:
        if isinstance(item, pytest.Function) and "browser" in item.fixturenames:
            item.add_marker("browser")
            if left_out:
                # A mark, not a call of skip(): pytest then shows them in one line.
                item.add_marker(pytest.mark.skip(reason="no Chromium here; `make test-browser` runs these"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures of the tests that kill runners: how many, where they hit, what was found."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "figures":
                terminalreporter.write_line(str(value))


# --- Databases: each test gets its own, empty. ---


@pytest.fixture(scope="session")
def maker(server_conninfo: str) -> Iterator[psycopg.Connection]:
    """The session that makes and drops them."""
    with psycopg.connect(server_conninfo, autocommit=True) as maker:
        yield maker


@pytest.fixture
def new_database(maker: psycopg.Connection, server_conninfo: str) -> Iterator[Callable[[], str]]:
    """Gives an empty database, its conninfo; dropped after the test, whoever is connected."""
    names: list[str] = []

    def take() -> str:
        names.append(f"test_{uuid.uuid4().hex[:12]}")
        databases.create(maker, names[-1])
        return make_conninfo(server_conninfo, dbname=names[-1])

    yield take
    for name in names:
        databases.drop(maker, name)


@pytest.fixture
def database(new_database: Callable[[], str]) -> str:
    """The conninfo of an empty database."""
    return new_database()


@pytest.fixture
def conn(database: str) -> Iterator[psycopg.Connection]:
    """A connection to `database`, in autocommit mode."""
    connection = psycopg.connect(database, autocommit=True)
    try:
        yield connection
    finally:
        end(connection)  # DROP DATABASE would wait a tenth of a second for a session that is about to end


# --- Scratch databases: one server session, and one pair of rehearsal databases, for all tests of a process. ---


@pytest.fixture(scope="session")
def admin(server_conninfo: str) -> Iterator[psycopg.Connection]:
    """A session that may make scratch databases."""
    with databases.server(server_conninfo) as admin:
        yield admin


@dataclass(frozen=True)
class Owner:
    """A superuser of one test, whose databases are told from those of the other workers by their owner."""

    name: str
    conninfo: str
    admin: psycopg.Connection

    def databases(self) -> set[str]:
        query = "SELECT datname FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba WHERE rolname = %s"
        return {name for (name,) in self.admin.execute(query, [self.name])}


@pytest.fixture
def owner(server_conninfo: str) -> Iterator[Owner]:
    """A role of the test's own, gone with its databases afterwards."""
    name = f"owner_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(server_conninfo, autocommit=True) as admin:
        role = sql.Identifier(name)
        admin.execute(sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}").format(role, admin.info.password or None))
        made = Owner(name, make_conninfo(server_conninfo, user=name), admin)
        yield made
        for database in made.databases():
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(database)))
        admin.execute(sql.SQL("DROP ROLE {}").format(role))


@pytest.fixture(scope="session")
def stage(admin: psycopg.Connection) -> Iterator[RehearsalDatabases]:
    """Where migrations are rehearsed, with what the last test left there: begin with staging.begin."""
    with ExitStack() as stack:
        yield RehearsalDatabases(admin, Console(quiet=True), stack, staging.DEFAULTS)


@pytest.fixture(scope="session", autouse=True)
def rates_once() -> Iterator[None]:
    """How fast a server's machine is, is measured once for all reviews of a test process: it takes half a second."""
    measure, known = calibrate.rates, {}

    def rates(admin: psycopg.Connection) -> Rates:
        place = admin.info.host, admin.info.port
        if place not in known:
            known[place] = measure(admin)
        return known[place]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibrate, "rates", rates)
        yield


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


@pytest.fixture(scope="session")
def runners() -> Iterator[Runners]:
    """Starts processes of `pgyoyo`."""
    with Runners() as runners:
        yield runners


@pytest.fixture
def run(secrets: set[str], tmp_path: Path, runners: Runners) -> Callable[..., Result]:
    """Runs `pgyoyo` as a process in `cwd` (the test's own folder if not given): its exit code, stdout and stderr.

    `env` is added to an environment without PG*, PGYOYO_* and DATABASE_URL. No output may hold one of the `secrets`.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DATABASE_URL"))}

    def run(
        *args: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: str | None = None
    ) -> Result:
        done = runners.start(*args, env={**clean, **(env or {})}, cwd=cwd or tmp_path, stdin=stdin)
        result = Result(done.wait(), done.out, done.err)
        for secret in secrets:
            assert secret not in result.out, "stdout shows a password"
            assert secret not in result.err, "stderr shows a password"
        return result

    return run


@pytest.fixture
def run_here(
    secrets: set[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Callable[..., Result]:
    """As `run`, through the same entry point, but without a process of its own: for the many short runs."""
    for name in os.environ:
        if name.startswith(("PG", "DATABASE_URL")):
            monkeypatch.delenv(name)

    def run_here(*args: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Result:
        handler = signal.getsignal(signal.SIGTERM)
        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name, value in (env or {}).items():
                patch.setenv(name, value)
            patch.chdir(cwd or tmp_path)
            patch.setattr(sys, "argv", ["pgyoyo", *map(str, args)])
            try:
                main()
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
            finally:
                signal.signal(signal.SIGTERM, handler)
        shown = capsys.readouterr()
        assert not [secret for secret in secrets if secret in shown.out + shown.err], "a password is shown"
        return Result(code, shown.out, shown.err)

    return run_here
