"""A real PgBouncer in between: session mode works, also with room for one; transaction and statement mode are refused."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgyoyo.engine.connection import connect, pid_of

_FOUND = shutil.which("pgbouncer", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
# Where it really is: the account that it runs as may not pass a folder of links.
PGBOUNCER = _FOUND and Path(_FOUND).resolve()
pytestmark = pytest.mark.skipif(
    PGBOUNCER is None, reason="no PgBouncer here; `apt-get install pgbouncer` has these run"
)
PORT = 6432


def listens(place: Path) -> bool:
    """Whether a connection is accepted there; the socket is made a moment before."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(place)) == 0


@contextmanager
def pgbouncer(conninfo: str, mode: str, **settings: object) -> Iterator[str]:
    """A conninfo that goes through a PgBouncer of our own, which runs as the server's account where we are root."""
    facts = {name: str(value) for name, value in conninfo_to_dict(conninfo).items()}
    folder = Path(tempfile.mkdtemp(prefix="pgb-", dir="/tmp"))  # a socket's path holds 103 bytes
    target = {name: facts[name] for name in ("host", "port", "user", "password") if name in facts}
    options = {
        "pool_mode": mode, "listen_addr": "", "listen_port": PORT, "unix_socket_dir": folder, "auth_type": "any",
        "max_client_conn": 50, **settings,
    }  # fmt: skip
    lines = ["[databases]", f"* = {make_conninfo('', **target)}", "[pgbouncer]"]
    lines += [f"{name} = {value}" for name, value in options.items()]
    (folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
    user = None
    if os.geteuid() == 0:
        account = Path(facts["host"] if facts.get("host", "").startswith("/") else "/").stat()
        user = account.st_uid or 65534
        os.chown(folder, user, -1)
        os.chown(folder / "pgbouncer.ini", user, -1)
    assert PGBOUNCER
    with subprocess.Popen(
        [PGBOUNCER, folder / "pgbouncer.ini"], user=user, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            while not listens(folder / f".s.PGSQL.{PORT}"):
                assert process.poll() is None, process.stderr and process.stderr.read()
                time.sleep(0.02)
            threading.Thread(target=process.communicate, daemon=True).start()  # else its log fills the pipe
            yield make_conninfo("", host=str(folder), port=PORT, user=facts.get("user"), dbname=facts["dbname"])
        finally:
            process.terminate()
            process.wait()
            shutil.rmtree(folder)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "sql"
    folder.mkdir()
    for number, name in enumerate(("a", "b"), start=1):
        (folder / f"000{number}_{name}.sql").write_text(f"CREATE TABLE {name} ();")
        (folder / f"000{number}_{name}.rollback.sql").write_text(f"DROP TABLE {name};")
    return folder


def leftovers(conn: psycopg.Connection) -> list[tuple[object, ...]]:
    """Advisory locks, and rows of yoyo's lock."""
    return conn.execute(
        """SELECT l.pid::text FROM pg_locks l JOIN pg_database d ON d.oid = l.database
           WHERE locktype = 'advisory' AND datname = current_database()
           UNION ALL SELECT pid::text FROM yoyo_lock"""
    ).fetchall()


@pytest.mark.parametrize("size", [1, 2, 20])
def test_session_mode_works(size: int, database: str, conn: psycopg.Connection, files: Path, run) -> None:
    with pgbouncer(database, "session", default_pool_size=size) as pooled:
        for command, count in (("apply", 2), ("rollback", 1)):
            result = run(command, "--migrations", files, "--database", pooled)
            assert result.code == 0, result.err
            assert conn.execute("SELECT count(*) FROM _yoyo_migration").fetchone() == (count,)
        assert leftovers(conn) == []


@pytest.mark.parametrize(
    ("mode", "settings"),
    [
        ("transaction", {"default_pool_size": 1}),
        ("transaction", {"default_pool_size": 2, "server_round_robin": 1}),
        ("transaction", {"default_pool_size": 5, "server_round_robin": 1}),
        ("transaction", {"default_pool_size": 20}),
        ("statement", {"default_pool_size": 1}),
        ("statement", {"default_pool_size": 5, "server_round_robin": 1}),
    ],
)
@pytest.mark.parametrize("busy", [0, 3])
def test_transaction_and_statement_mode_are_refused(
    mode: str, settings: dict[str, int], busy: int, database: str, conn: psycopg.Connection, files: Path, run
) -> None:
    with pgbouncer(database, mode, **settings) as pooled:
        # Several server sessions are open, and idle, before we come.
        count = min(busy, settings["default_pool_size"])
        together = [psycopg.connect(pooled, autocommit=mode == "statement") for _ in range(count)]
        for other in together:
            other.execute("SELECT 1")
        for other in together:
            other.close()
        result = run("apply", "--migrations", files, "--database", pooled)
        assert result.code == 1
        assert "goes through a pooler that gives each transaction another server session" in result.err
        assert "connect to PostgreSQL itself, or to a pool in session mode" in result.err
        # What only reads needs no lock.
        assert run("status", "--migrations", files, "--database", pooled).code == 0
    assert conn.execute("SELECT to_regclass('_yoyo_migration'), to_regclass('a')").fetchone() == (None, None)


def test_full_pool_in_transaction_mode_is_refused_too(
    database: str, conn: psycopg.Connection, files: Path, run
) -> None:
    with pgbouncer(database, "transaction", default_pool_size=2) as pooled, psycopg.connect(pooled) as busy:
        busy.execute("SELECT 1")  # and its transaction stays open
        result = run("apply", "--migrations", files, "--database", pooled)
        assert (result.code, "gives each transaction another" in result.err) == (1, True)


def test_rival_behind_a_session_pool_is_kept_out(database: str, conn: psycopg.Connection, files: Path, run) -> None:
    (files / "0003_wait.sql").write_text("SELECT pg_advisory_xact_lock(1);")
    with pgbouncer(database, "session", default_pool_size=5) as pooled:
        conn.execute("SELECT pg_advisory_lock(1)")
        results = []
        options = ("apply", "--migrations", files, "--database", pooled)
        thread = threading.Thread(target=lambda: results.append(run(*options, "--give-up-after", "60s")))
        thread.start()
        while not conn.execute("SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").fetchone():
            time.sleep(0.02)
        rival = run(*options, "--wait", "0s")
        conn.execute("SELECT pg_advisory_unlock(1)")
        thread.join()
        assert rival.code == 5, rival.err
        assert results[0].code == 0, results[0].err


def test_watcher_without_a_place_in_the_pool_holds_nobody_up(
    database: str, conn: psycopg.Connection, files: Path, run
) -> None:
    (files / "0003_alter.sql").write_text("ALTER TABLE held ADD COLUMN n int;")
    with pgbouncer(database, "session", default_pool_size=1) as pooled:
        conn.execute("CREATE TABLE held ()")
        conn.execute("BEGIN; LOCK TABLE held")

        def release() -> None:
            waited = 0
            with psycopg.connect(database, autocommit=True) as looking:
                while waited < 3:
                    query = "SELECT FROM pg_locks WHERE relation = 'held'::regclass AND NOT granted"
                    waited += looking.execute(query).fetchone() is not None
                    time.sleep(0.1)
            conn.execute("COMMIT")

        thread = threading.Thread(target=release)
        thread.start()
        result = run("apply", "--migrations", files, "--database", pooled)
        thread.join()
        assert result.code == 0, result.err
        assert "could not get a lock" in result.err


def test_loss_behind_a_pool_with_room_for_one_is_looked_up(
    database: str, conn: psycopg.Connection, files: Path, run
) -> None:
    (files / "0003_wait.sql").write_text("SELECT pg_advisory_xact_lock(1);")
    with pgbouncer(database, "session", default_pool_size=1) as pooled:
        conn.execute("SELECT pg_advisory_lock(1)")

        def cut() -> None:
            query = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            with psycopg.connect(database, autocommit=True) as looking:
                while not looking.execute(query).fetchone():
                    time.sleep(0.1)

        thread = threading.Thread(target=cut)
        thread.start()
        result = run("apply", "--migrations", files, "--database", pooled)
        thread.join()
        assert result.code == 1
        assert "looked up afterwards: 0003_wait is not applied" in result.err
        conn.execute("SELECT pg_advisory_unlock(1)")
        assert leftovers(conn) == []


def test_schemas_of_a_fleet_need_the_server_itself(
    database: str, conn: psycopg.Connection, files: Path, run_here
) -> None:
    conn.execute("CREATE SCHEMA t_1")
    with pgbouncer(database, "session") as pooled:
        done = run_here("fleet", "apply", "--database", pooled, "--schemas", "t_%", "--migrations", files)
    assert (done.code, "can't serve schemas: give the address of the server itself" in done.out) == (1, True), done.out


def test_pid_is_the_servers(database: str) -> None:
    with pgbouncer(database, "session") as pooled, connect(pooled) as conn:
        assert (pid_of(conn),) == conn.execute("SELECT pg_backend_pid()").fetchone()
        assert pid_of(conn) != conn.info.backend_pid
