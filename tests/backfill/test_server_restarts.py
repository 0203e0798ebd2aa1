"""A backfill on a server of its own: restarted under it, with a standby behind it, and what becomes of the table's size."""

import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from filling import RIGHT, ROWS, SLOW, folder, lines, make, one, running, until
from pgyoyo.server import libpq
from pgyoyo.server.account import choose
from pgyoyo.server.postgres import EmbeddedServer
from running import Runners

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
    return folder(tmp_path)


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
    mode: str, database: str, own_server: EmbeddedServer, sql: Path, apply: Callable, runners: Runners
) -> None:
    """`immediate` is a crash: the server recovers from its WAL."""
    with psycopg.connect(database, autocommit=True) as conn:
        make(conn)
    with running(runners, database, sql, *SLOW) as runner:
        pg_ctl(own_server, own_server.data, "stop", "--mode", mode)
        own_server.ensure_running(lambda _: None)  # pg_ctl would give it another log
        code, err = runner.wait(), runner.err
    assert code == 1, err
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
        assert f"resuming after {noted:,} rows" in result.err
        assert f"{ROWS - ROWS // 7:,} rows in" in result.out
        assert one(conn, RIGHT) == 0
        assert one(conn, "SELECT count(*) FROM _pgyoyo_backfill") == 0


# --- Replicas ---


@dataclass(frozen=True)
class Standby:
    """A hot standby of `server`, named faraway; it reports every second."""

    server: EmbeddedServer
    data: Path
    port: int = 5433

    def ask(self, query: str) -> object:
        conninfo = f"host={self.data} port={self.port} user=postgres dbname=postgres"
        with psycopg.connect(conninfo, autocommit=True) as conn:
            return one(conn, query)

    def start(self) -> None:
        # A standby has to have room for as many as its server.
        prepared = "-c max_prepared_transactions=2"
        sockets = f"{prepared} -c listen_addresses= -c unix_socket_directories={self.data} -c port={self.port}"
        pg_ctl(
            self.server, self.data, "start", "--options", f"{sockets} -c fsync=off -c wal_receiver_status_interval=1"
        )

    def stop(self) -> None:
        if (self.data / "postmaster.pid").exists():
            pg_ctl(self.server, self.data, "stop", "--mode", "immediate")


@pytest.fixture(scope="module")
def copied(own_server: EmbeddedServer) -> Standby:
    """The standby, made but not started."""
    account = choose(own_server.data)
    data = own_server.folder / "standby"
    data.mkdir(mode=0o700)
    shutil.chown(data, account.uid, account.gid)
    # The programs of an older server know fewer options.
    address = libpq.without_neutral(conninfo_to_dict(own_server.conninfo("postgres")))
    source = make_conninfo("", **address, application_name="faraway")
    command = (own_server.binary("pg_basebackup"), "--pgdata", data, "--dbname", source, "--write-recovery-conf")
    done = account.run(*command, "--checkpoint", "fast", "--no-sync")
    assert done.returncode == 0, done.stdout
    return Standby(own_server, data)


@pytest.fixture
def standby(copied: Standby) -> Iterator[Standby]:
    """The standby at work."""
    copied.start()
    yield copied
    copied.stop()


@pytest.mark.parametrize("trouble", ["paused", "hung", "gone"])
def test_replica_that_falls_behind_is_waited_for_and_named(
    trouble: str, conn: Connection, database: str, standby: Standby, sql: Path, runners: Runners
) -> None:
    """Its replay is paused; or its receiver does not answer any more, and the server shows no lag; or it goes away."""
    make(conn, 2 * ROWS)
    until(lambda: standby.ask("SELECT count(*) FROM pg_stat_wal_receiver") == 1)
    receiver = standby.ask("SELECT pid FROM pg_stat_wal_receiver")
    assert isinstance(receiver, int)
    if trouble == "hung":
        os.kill(receiver, signal.SIGSTOP)
    else:
        standby.ask("SELECT pg_wal_replay_pause()")
    with running(runners, database, sql, "--max-replica-lag", "100ms", *SLOW) as runner:
        shown = lines(runner)
        said = next(line for line in shown if "has tables" not in line)
        assert re.fullmatch(
            r"waiting: replica faraway is \d+\.\d s and [\d.]+ \w+ of WAL behind, more than 0.1 s \(--max-replica-lag\)\n",
            said,
        ), said
        rows = one(conn, "SELECT rows FROM _pgyoyo_backfill")
        time.sleep(0.4)
        assert one(conn, "SELECT rows FROM _pgyoyo_backfill") == rows
        assert runner.alive
        if trouble == "hung":
            os.kill(receiver, signal.SIGCONT)
        elif trouble == "paused":
            standby.ask("SELECT pg_wal_replay_resume()")
        else:
            standby.stop()
        # Its own line of progress may come in between, where the wait took longer.
        after = next(line for line in shown if "waiting: replica" not in line)
        assert re.fullmatch(r"resumed after \d+ s\n", after)
        code, out, err = runner.wait(), runner.out, runner.err
    assert code == 0, err
    assert f"{2 * ROWS - 2 * ROWS // 7:,} rows in" in out
    assert one(conn, RIGHT) == 0


@pytest.mark.usefixtures("standby")
def test_role_that_may_not_see_the_replicas_is_told_so(conn: Connection, database: str, apply: Callable) -> None:
    conn.execute("CREATE ROLE blind LOGIN; GRANT CREATE ON SCHEMA public TO blind; SET ROLE blind")
    make(conn)
    conn.execute("RESET ROLE")
    try:
        result = apply("--database", make_conninfo(database, user="blind"))
        assert result.code == 0, result.err
        assert result.err.count("not watched: replicas (this role may not see them; GRANT pg_monitor lets it)") == 1
    finally:
        conn.execute("DROP OWNED BY blind; DROP ROLE blind")


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
