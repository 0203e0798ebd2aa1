"""Servers and sessions that can't write are named before anything else; a role's transaction_timeout ends no migration."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from own_server import own_server
from pgyoyo.engine import lock
from pgyoyo.errors import ConnectError
from pgyoyo.server.postgres import EmbeddedServer


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "0001_a.sql").write_text("CREATE TABLE a ();")
    (folder / "0001_a.rollback.sql").write_text("DROP TABLE a;")
    return folder


@contextmanager
def setting(conn: psycopg.Connection, whose: str, name: str, value: str) -> Iterator[str]:
    """A new role's conninfo, with the setting on the role, the database or both; all is undone afterwards."""
    dbname = sql.Identifier(conn.info.dbname)
    role = sql.Identifier(name_of := f"reader_{conn.info.backend_pid}")
    conn.execute(sql.SQL("CREATE ROLE {} LOGIN SUPERUSER").format(role))
    places = {
        "the role": sql.SQL("ROLE {}").format(role),
        "the database": sql.SQL("DATABASE {}").format(dbname),
        "the role in this database": sql.SQL("ROLE {} IN DATABASE {}").format(role, dbname),
    }
    change = sql.SQL("ALTER {} SET {} = {}").format(places[whose], sql.Identifier(name), sql.Literal(value))
    try:
        conn.execute(change)
        yield make_conninfo(conn.info.dsn, password=conn.info.password or None, user=name_of)
    finally:
        conn.execute(sql.SQL("ALTER DATABASE {} RESET {}").format(dbname, sql.Identifier(name)))
        conn.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(role))
        conn.execute(sql.SQL("DROP OWNED BY {}; DROP ROLE {}").format(role, role))


COMMANDS = (
    ("apply",),
    ("mark", "1"),
    ("baseline", "--to", "1", "--yes"),
    ("apply", "--single-transaction"),
    ("adopt",),
)


@pytest.mark.parametrize("whose", ["the role", "the database", "the role in this database"])
def test_read_only_default_is_named_with_its_place(whose: str, conn: psycopg.Connection, files: Path, run_here) -> None:
    with setting(conn, whose, "default_transaction_read_only", "on") as conninfo:
        for command in COMMANDS:
            result = run_here(*command, "--migrations", files, "--database", conninfo)
            assert result.code == 1, result.out
            assert result.err.startswith(
                f"error: this session only reads: default_transaction_read_only is on, a setting of {whose} (ALTER "
            )
    assert conn.execute("SELECT to_regclass('_yoyo_migration')").fetchone() == (None,)


def test_read_only_default_of_the_connection_is_named(database: str, files: Path, run_here) -> None:
    conninfo = make_conninfo(database, options="-c default_transaction_read_only=on")
    result = run_here("apply", "--migrations", files, "--database", conninfo)
    assert "a setting of the connection (options in the URL, or PGOPTIONS)" in result.err


def test_session_that_only_reads_keeps_no_lock(conn: psycopg.Connection) -> None:
    conn.execute("SET default_transaction_read_only = on")
    with pytest.raises(ConnectError, match="only reads"), lock.hold(conn, "public", wait=0, say=print):
        pass
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    assert conn.execute(held).fetchone() == (0,)


def test_rollback_where_nothing_can_be_written_is_told_the_same(
    conn: psycopg.Connection, files: Path, run_here
) -> None:
    options = ("--migrations", files, "--database")
    assert run_here("apply", *options, conn.info.dsn).code == 0
    with setting(conn, "the role", "default_transaction_read_only", "on") as conninfo:
        for command in (("rollback",), ("redo",), ("unmark", "1")):
            result = run_here(*command, *options, conninfo)
            assert (result.code, "this session only reads" in result.err) == (1, True)
        assert run_here("apply", *options, conninfo).code == 0  # nothing to do
    assert conn.execute("SELECT count(*) FROM _yoyo_migration").fetchone() == (1,)


@pytest.fixture
def standby() -> Iterator[EmbeddedServer]:
    """A server of our own that is in recovery for good, as a standby whose primary is away."""
    with own_server({"fsync": "off", "hot_standby": "on"}) as server:
        server.stop()
        signal = server.data / "standby.signal"
        signal.touch()
        owner = server.data.stat()
        os.chown(signal, owner.st_uid, owner.st_gid)
        server.ensure_running(lambda _: None)
        yield server


def test_standby_is_named_and_still_answers_what_only_reads(standby: EmbeddedServer, files: Path, run_here) -> None:
    options = ("--migrations", files, "--database", standby.conninfo("postgres"))
    for command in COMMANDS:
        result = run_here(*command, *options)
        assert result.code == 1, result.out
        assert result.err == (
            "error: this server is a standby (it is in recovery), so it only reads; connect to the primary: "
            "with several hosts in the URL, target_session_attrs=read-write finds it\n"
        )
    assert "pending  0001_a" in run_here("status", *options).out


def test_transaction_timeout_of_a_role_ends_no_migration(conn: psycopg.Connection, files: Path, run_here) -> None:
    if conn.info.server_version < 170000:
        pytest.skip("transaction_timeout came with PostgreSQL 17")
    (files / "0002_slow.sql").write_text("SELECT pg_sleep(0.7); CREATE TABLE b ();")
    (files / "0003_own.sql").write_text("SET LOCAL transaction_timeout = '50ms'; SELECT pg_sleep(0.7);")
    with setting(conn, "the role", "transaction_timeout", "300ms") as conninfo:
        options = ("--migrations", files, "--database", conninfo)
        result = run_here("apply", "--to", "2", *options)
        assert (result.code, result.out.splitlines()[-1]) == (0, "2 applied, 1 pending; next: pgyoyo apply"), result.err
        # A file's own is the file's.
        assert run_here("apply", *options).code == 1
    assert conn.execute("SELECT count(*) FROM _yoyo_migration").fetchone() == (2,)
