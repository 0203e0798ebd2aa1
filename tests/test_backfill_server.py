"""A backfill on a server of its own: restarted under it, with a standby behind it, and what becomes of the table's size."""

import re
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection

from filling import BATCHED, RIGHT, ROWS, SLOW, UPDATE, make, one, running
from pgyoyo.account import choose
from pgyoyo.server import EmbeddedServer


numbers = count(1)


@pytest.fixture
def database(own_server: EmbeddedServer) -> Iterator[str]:
    """An empty database there; no connection is kept, since the server may be restarted."""
    name = f"test_{next(numbers)}"
    own_server.ensure_database(name)
    yield own_server.conninfo(name)
    with psycopg.connect(own_server.conninfo("postgres"), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    """The folder of migrations, with a backfill of t."""
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "0001_fill.sql").write_text(BATCHED + UPDATE)
    return folder


@pytest.fixture
def apply(run_here: Callable, database: str, sql: Path) -> Callable:
    return lambda *args: run_here("apply", "--database", database, "--migrations", "sql", *args, cwd=sql.parent)


def pg_ctl(server: EmbeddedServer, data: Path, *args: str) -> None:
    """Run pg_ctl, which refuses root, as the server's account; wait until it has done what it shall."""
    command = (server.binary("pg_ctl"), "--pgdata", data, "--log", data / "pg_ctl.log", "--wait", *args)
    done = choose(data).run(*command)
    assert done.returncode == 0, done.stdout


# --- Restarted ---


@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_backfill_goes_on_after_a_restart_of_the_server(
    mode: str, database: str, own_server: EmbeddedServer, sql: Path, apply: Callable
) -> None:
    """`immediate` is a crash: the server recovers from its WAL."""
    with psycopg.connect(database, autocommit=True) as conn:
        make(conn)
    with running(database, sql, *SLOW) as runner:
        pg_ctl(own_server, own_server.data, "restart", "--mode", mode)
        _, err = runner.communicate(timeout=60)
    assert runner.returncode == 1, err
    assert "Traceback" not in err
    found = re.search(r"at least ([\d,]+) rows are done and stay", err)
    assert found, err
    assert "looked up afterwards: 0001_fill is not applied; nothing is applied; 0001_fill is pending" in err
    assert err.rstrip().endswith("Run again: pgyoyo apply")
    with psycopg.connect(database, autocommit=True) as conn:
        told, noted = int(found[1].replace(",", "")), one(conn, "SELECT rows FROM _pgyoyo_backfill")
        left = one(conn, "SELECT count(*) FROM t WHERE b IS NULL")
        # What the ledger says is what is done; one batch may have been committed that the runner did not hear of.
        assert noted == ROWS - ROWS // 7 - left
        assert 0 < told <= noted
        result = apply()
        assert result.code == 0, result.err
        assert f"goes on after {noted:,} rows" in result.err
        assert f"{ROWS - ROWS // 7:,} rows in" in result.out
        assert one(conn, RIGHT) == 0
        assert one(conn, "SELECT count(*) FROM _pgyoyo_backfill") == 0


# --- Size ---


def test_pages_are_filled_in_turns_so_that_the_table_hardly_grows(
    conn: Connection, database: str, apply: Callable
) -> None:
    conn.execute("CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, b int, pad text)")
    conn.execute("INSERT INTO t SELECT i, i, NULL, repeat('x', 40) FROM generate_series(1, 20000) i")
    conn.execute("VACUUM (FREEZE, ANALYZE) t")
    before = conn.execute("SELECT pg_relation_size('t'), pg_indexes_size('t')").fetchone()
    assert apply().code == 0
    after = conn.execute("SELECT pg_relation_size('t'), pg_indexes_size('t')").fetchone()
    assert before
    assert after
    assert [new / old < 1.25 for new, old in zip(after, before, strict=True)] == [True, True], (before, after)
