"""What a wait says: who is in the way, in which phase, from the run itself and from another terminal; and what it costs."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from psycopg import Connection, sql
from psycopg.conninfo import make_conninfo

import killing
from killing import blocked, until
from own_server import own_server
from pgyoyo import apply
from pgyoyo.engine.ledger import key_of
from pgyoyo.server.postgres import EmbeddedServer
from probes import Probes
from proxy import Link, Proxy
from running import Run, Runners

ALONE = "-- transactional: false\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sql").mkdir()
    return tmp_path / "sql"


@pytest.fixture
def start(runners: Runners, database: str, folder: Path) -> Callable[..., Run]:
    """Starts `pgyoyo apply`, or another command, on a file with this text."""

    def start(text: str = "", *words: str, command: str = "apply", conninfo: str = database) -> Run:
        if text:
            (folder / "0001_a.sql").write_text(text)
        return runners.start(command, *words, "--database", conninfo, "--migrations", folder)

    return start


def seen(run: Run, *words: str) -> None:
    """Return when the run has written all of these to stderr."""
    until(lambda: all(word in run.err for word in words) or not run.alive, lambda: run.err)
    assert all(word in run.err for word in words), run.err


# --- A statement that waits names who holds it up. ---

BUILD = f"{ALONE}SELECT 1;\nCREATE INDEX CONCURRENTLY i ON t (c);\n"
HOLDERS = {
    "writer": ("INSERT INTO t VALUES (1)", "waiting for writers before build (0 of 1)"),
    "snapshot": ("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT 1", "waiting for old snapshots (0 of 1)"),
}


@pytest.mark.parametrize("how", HOLDERS)
def test_index_that_waits_says_its_phase_and_who_holds_it_up(
    conn: Connection, database: str, start: Callable, how: str
) -> None:
    conn.execute("CREATE TABLE t (c int)")
    statement, phase = HOLDERS[how]
    with psycopg.connect(database, application_name="long report") as holder:
        holder.execute(statement.encode())
        run = start(BUILD)
        who = f"pid {holder.info.backend_pid} (long report, role {conn.info.user}, idle in transaction for "
        seen(run, f"0001_a (statement 2, CREATE INDEX CONCURRENTLY i): {phase}: {who}")
        # The same from another terminal, and no word of an interruption.
        shown = start(command="status")
        assert shown.wait() == 0, shown.err
        assert "pending  0001_a  running statement 2: pid " in shown.out
        assert f"{phase}: {who}" in shown.out
        assert "interrupted" not in shown.out
        shown = start("", "--format", "json", command="status")
        assert shown.wait() == 0
        content = json.loads(shown.out)
        assert content["interrupted"] == []
        running = content["running"]
        assert (running["id"], running["statement"], running["phase"]) == ("0001_a", 2, phase)
        assert [blocker["pid"] for blocker in running["waits_for"]] == [holder.info.backend_pid]
    assert run.wait() == 0, run.err


def test_killed_runner_is_interrupted_and_not_running(conn: Connection, database: str, start: Callable) -> None:
    conn.execute("CREATE TABLE t (c int)")
    with psycopg.connect(database, autocommit=True) as holder:
        holder.execute("BEGIN; INSERT INTO t VALUES (1)")
        run = start(BUILD)
        blocked(conn, holder, run)
        run.kill()
        run.wait()
        killing.terminate(conn)
        killing.alone(conn)
    shown = start("", "--format", "json", command="status")
    assert shown.wait() == 0
    assert json.loads(shown.out)["running"] is None
    shown = start(command="status")
    assert shown.wait() == 0
    assert "0001_a  interrupted at statement 2" in shown.out


@pytest.mark.parametrize("way", ["apply", "rollback"])
def test_plain_migration_that_waits_is_named_by_itself_and_by_status(
    conn: Connection, database: str, start: Callable, folder: Path, way: str
) -> None:
    conn.execute("CREATE TABLE t (c int)")
    (folder / "0001_a.rollback.sql").write_text("-- lock-timeout: 0\nALTER TABLE t DROP COLUMN d;\n")
    text = "-- lock-timeout: 0\nALTER TABLE t ADD COLUMN d int;\n"
    if way == "rollback":
        assert start(text).wait() == 0
    with psycopg.connect(database, application_name="long report") as holder:
        holder.execute("SELECT * FROM t")
        run = start(text, command=way)
        who = f"pid {holder.info.backend_pid} (long report, "
        seen(run, f"0001_a: waiting for ACCESS EXCLUSIVE on t: {who}")
        shown = start(command="status")
        assert shown.wait() == 0, shown.err
        line = next(line for line in shown.out.splitlines() if "0001_a" in line)
        assert ("rollback running: pid " if way == "rollback" else "0001_a  running: pid ") in line
        assert f"waiting for ACCESS EXCLUSIVE on t: {who}" in line
    assert run.wait() == 0, run.err


@pytest.mark.parametrize(
    "text", ["ALTER TABLE t ADD COLUMN d int;\n", f"{ALONE}SELECT 1;\nVACUUM FULL t;\n"], ids=["plain", "alone"]
)
def test_pause_between_two_tries_names_who_was_in_the_way(
    conn: Connection, database: str, folder: Path, run_here: Callable, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    conn.execute("CREATE TABLE t (c int)")
    (folder / "0001_a.sql").write_text(text)
    (folder / "0001_a.rollback.sql").write_text("-- irreversible: a test\n")
    holder = psycopg.connect(database, application_name="long report */")
    holder.execute("SELECT * FROM t")
    who = f"pid {holder.info.backend_pid} (long report * /, role {conn.info.user}, idle in transaction for "
    words = "could not get ACCESS EXCLUSIVE on t within "
    shown = ["", ""]

    def pause(_: float) -> None:
        options = ("--database", database, "--migrations", folder)
        running = json.loads(run_here("status", "--format", "json", *options).out)["running"]
        shown[:] = [run_here("status", *options).out, f"{running['id']}: {running['phase']}"]
        if who in shown[1]:
            holder.rollback()

    monkeypatch.setattr("pgyoyo.engine.transaction.time", SimpleNamespace(sleep=pause, monotonic=time.monotonic))
    with holder:
        apply(database, [folder])
    assert f", between two tries; {words}" in shown[0]
    assert who in shown[0]
    assert shown[1].startswith(f"0001_a: {words}")


def test_status_names_a_runner_that_pauses(conn: Connection, start: Callable) -> None:
    conn.execute("SELECT pg_advisory_lock(%s)", [key_of("public")])
    conn.execute("SELECT 1")
    shown = start("SELECT 1;", command="status")
    assert shown.wait() == 0
    assert "running" not in shown.out  # there is no ledger yet
    conn.execute("SELECT pg_advisory_unlock_all()")
    assert start().wait() == 0
    conn.execute("SELECT pg_advisory_lock(%s)", [key_of("public")])
    shown = start(command="status")
    assert shown.wait() == 0
    assert f"running  pid {conn.info.backend_pid} (no application name, role {conn.info.user})" in shown.out


@pytest.fixture(scope="module")
def own() -> Iterator[EmbeddedServer]:
    """A server of its own, where autovacuum comes each second, and transactions can be prepared."""
    with own_server(
        {"fsync": "off", "autovacuum_naptime": "1s", "max_prepared_transactions": "5"}, memory=True
    ) as server:
        yield server


@pytest.fixture
def own_database(own: EmbeddedServer) -> Iterator[str]:
    """An empty database on it."""
    with psycopg.connect(own.conninfo("postgres"), autocommit=True) as admin:
        admin.execute("CREATE DATABASE waiting")
        yield own.conninfo("waiting")
        admin.execute("DROP DATABASE waiting WITH (FORCE)")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BUILD, "waiting for writers before build (0 of 1): "),
        ("-- lock-timeout: 0\nALTER TABLE t ADD d int;", "waiting for ACCESS EXCLUSIVE on t: "),
    ],
)
def test_prepared_transaction_in_the_way_is_named(own_database: str, start: Callable, text: str, words: str) -> None:
    with psycopg.connect(own_database, autocommit=True) as conn:
        conn.execute("CREATE TABLE t (c int)")
        conn.execute("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'order 17'")
        try:
            run = start(text, conninfo=own_database)
            seen(run, f'{words}the prepared transaction "order 17" (role postgres, prepared for ')
        finally:
            conn.execute("COMMIT PREPARED 'order 17'")
    assert run.wait() == 0, run.err


# --- What watching costs. ---


def test_run_has_one_watcher_that_looks_once_a_second(
    conn: Connection, database: str, start: Callable, folder: Path
) -> None:
    looks: dict[int, list[float]] = {}

    def hook(link: Link, what: str, number: int, data: bytes) -> bytes:
        if link.application == "pgyoyo watch":
            times = looks.setdefault(link.number, [])
            if what == "request" and b"pg_blocking_pids" in data and b"pg_prepared_xacts" in data:
                times.append(time.monotonic())
        return data

    for number in range(2, 12):
        (folder / f"{number:04}_b.sql").write_text("SELECT pg_sleep(0.3);\n")
    with Proxy(database, hook) as proxy:
        began = time.monotonic()
        run = start("SELECT pg_sleep(0.3);\n", conninfo=proxy.conninfo)
        assert run.wait() == 0, run.err
        seconds = time.monotonic() - began
    [times] = looks.values()
    assert 1 <= len(times) <= seconds + 1


# --- The session lasts through the pauses. ---


def test_session_and_lock_outlast_the_pauses_whatever_ends_idle_sessions(
    conn: Connection, database: str, start: Callable
) -> None:
    conn.execute("CREATE TABLE t (c int)")
    with psycopg.connect(database, autocommit=True) as holder:
        holder.execute("BEGIN; SELECT * FROM t")
        name = sql.Identifier(conn.info.dbname)
        for setting in ("idle_session_timeout", "idle_in_transaction_session_timeout"):
            conn.execute(sql.SQL("ALTER DATABASE {} SET {} = '100ms'").format(name, sql.Identifier(setting)))
        try:
            run = start("ALTER TABLE t ADD d int;\n")
            holding = """SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
            seen(run, "retrying in ")
            pids = {conn.execute(holding.encode()).fetchone()}
            until(lambda: run.err.count("retrying in ") >= 4 or not run.alive, lambda: run.err)
            pids.add(conn.execute(holding.encode()).fetchone())
            assert len(pids) == 1, run.err
            holder.execute("COMMIT")
            assert run.wait() == 0, run.err
        finally:
            conn.execute(sql.SQL("ALTER DATABASE {} RESET ALL").format(name))


# --- An autovacuum in the way. ---


@contextmanager
def autovacuum(conninfo: str, *, wraparound: bool) -> Iterator[Connection]:
    """An autovacuum that stays at t for long."""
    with psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute("CREATE TABLE t (c int) WITH (autovacuum_enabled = off)")
        conn.execute("INSERT INTO t SELECT generate_series(1, 200000)")
        conn.execute("UPDATE t SET c = c")
        conn.execute("ALTER TABLE t SET (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1)")
        if wraparound:
            conn.execute("ALTER TABLE t SET (autovacuum_freeze_max_age = 100000)")
            conn.execute("DO $$ BEGIN FOR i IN 1..100100 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$")
        else:
            conn.execute("ALTER TABLE t SET (autovacuum_enabled = on, autovacuum_vacuum_threshold = 1)")
        query = (
            "SELECT query FROM pg_stat_activity WHERE backend_type = 'autovacuum worker' AND query LIKE '%public.t%'"
        )
        until(lambda: conn.execute(query.encode()).fetchone())
        yield conn


@pytest.mark.parametrize("sees", [True, False])
def test_autovacuum_gives_way_to_one_try_that_outlasts_deadlock_timeout(
    own_database: str, start: Callable, sees: bool
) -> None:
    with autovacuum(own_database, wraparound=False) as conn, Probes(own_database, limit=1800) as probes:
        conn.execute("DROP ROLE IF EXISTS plain")
        conn.execute(
            "CREATE ROLE plain LOGIN; ALTER SCHEMA public OWNER TO plain; GRANT CREATE ON DATABASE waiting TO plain"
        )
        conn.execute(
            "UPDATE pg_class SET relowner = 'plain'::regrole WHERE relname = 't'"
        )  # ALTER would end the autovacuum
        # The first try is 100 ms, so without the long one it takes thirty to reach a second.
        run = start(
            "ALTER TABLE t ADD d int;\n", conninfo=make_conninfo(own_database, user="postgres" if sees else "plain")
        )
        assert run.wait() == 0, run.err
        # A role without pg_monitor does not see what it does.
        assert ("(autovacuum worker (autovacuum: VACUUM " if sees else "(autovacuum worker) holds ") in run.err
        assert "an autovacuum gives way after deadlock_timeout, so the next attempt waits 1.5 s" in run.err
        assert run.err.count("retrying in ") <= 3, run.err
        assert (probes.blocked, probes.done > 0) == (0, True)
        assert conn.execute("SELECT count(d) FROM t").fetchone() == (0,)


def test_autovacuum_that_prevents_wraparound_is_named_and_never_stalls_others_for_long(
    own_database: str, start: Callable
) -> None:
    with autovacuum(own_database, wraparound=True), Probes(own_database, limit=900) as probes:
        run = start("ALTER TABLE t ADD d int;\n", "--give-up-after", "6s", conninfo=own_database)
        assert run.wait() == 1, run.err
        assert "to prevent wraparound: it does not give way, so it has to end first" in run.err
        assert "gives way" not in run.err
        assert probes.blocked == 0


def test_lock_timeout_of_the_file_is_kept_and_what_it_would_take_is_said(own_database: str, start: Callable) -> None:
    with autovacuum(own_database, wraparound=False):
        run = start(
            "-- lock-timeout: 300ms\nALTER TABLE t ADD d int;\n", "--give-up-after", "3s", conninfo=own_database
        )
        assert run.wait() == 1, run.err
        assert "gives way only to a lock-timeout of 1.5 s, above deadlock_timeout" in run.err


# --- Statements outside a transaction are tried again, too. ---

TRIED = {
    "DO": "DO $$ BEGIN INSERT INTO ran VALUES (1); LOCK TABLE t; END $$",
    "CALL": "CALL locks()",
    "VACUUM FULL": "VACUUM FULL t",
    "VACUUM (FULL)": "VACUUM (ANALYZE, FULL) t",
    "REINDEX of a partitioned table": "REINDEX TABLE p",
    "CLUSTER of a partitioned table": "CLUSTER p USING p_c",
}
SETUP = """
CREATE TABLE ran (i int);
CREATE TABLE p (c int) PARTITION BY RANGE (c);
CREATE TABLE t PARTITION OF p FOR VALUES FROM (0) TO (9);
CREATE INDEX p_c ON p (c);
CREATE PROCEDURE locks() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ran VALUES (1); LOCK TABLE t; END $$;
"""


@pytest.mark.parametrize("how", TRIED)
def test_statement_outside_a_transaction_does_not_stall_a_busy_table(
    conn: Connection, database: str, start: Callable, how: str
) -> None:
    conn.execute(SETUP.encode())
    if how == "CLUSTER of a partitioned table" and conn.info.server_version < 150000:
        return  # that server refuses it at once
    with (
        psycopg.connect(database, autocommit=True, application_name="long report") as reader,
        Probes(database, 900) as probes,
    ):
        reader.execute("BEGIN; SELECT * FROM t")
        run = start(f"{ALONE}{TRIED[how]};\nSELECT 1;\n")
        holder = f"pid {reader.info.backend_pid} (long report, "
        until(lambda: (run.err.count("retrying in ") >= 3 and holder in run.err) or not run.alive, lambda: run.err)
        assert run.alive, run.err
        reader.execute("COMMIT")
        assert run.wait() == 0, run.err
        assert probes.blocked == 0
    assert conn.execute("SELECT count(*) <= 1 FROM ran").fetchone() == (True,)


@pytest.mark.parametrize(
    "text", ["CALL commits()", "DO $$ BEGIN INSERT INTO ran VALUES (1); COMMIT; LOCK TABLE t; END $$"]
)
def test_code_that_has_committed_is_not_tried_again_by_itself(
    conn: Connection, database: str, start: Callable, text: str
) -> None:
    conn.execute(SETUP.encode())
    conn.execute(
        "CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ran VALUES (1); COMMIT; LOCK TABLE t; END $$"
    )
    with psycopg.connect(database, autocommit=True) as reader:
        reader.execute("BEGIN; SELECT * FROM t")
        run = start(f"{ALONE}{text};\n")
        assert run.wait() == 1, run.err
    assert "It had committed a part of its work before, which stays" in run.err
    assert "retrying" not in run.err
    assert conn.execute("SELECT count(*) FROM ran").fetchone() == (1,)


def test_own_lock_timeout_of_the_file_is_that_of_each_try(conn: Connection, database: str, start: Callable) -> None:
    conn.execute(SETUP.encode())
    with psycopg.connect(database, autocommit=True) as reader:
        reader.execute("BEGIN; SELECT * FROM t")
        run = start(f"{ALONE}SET lock_timeout = '70ms';\nVACUUM FULL t;\nALTER TABLE t ALTER c SET NOT NULL;\n")
        seen(run, "could not get ACCESS EXCLUSIVE on t within 70 ms: ")
        reader.execute("COMMIT")
        assert run.wait() == 0, run.err


# --- --wait is the whole wait. ---


def test_wait_is_spent_once_on_all_that_is_waited_for(conn: Connection, database: str, start: Callable) -> None:
    assert start("SELECT 1;\n").wait() == 0
    conn.execute("INSERT INTO yoyo_lock VALUES (1, '2026-01-02 03:04:05', 99999)")
    with psycopg.connect(database, autocommit=True) as holder:
        holder.execute("SELECT pg_advisory_lock(%s)", [key_of("public")])
        began = time.monotonic()
        run = start("", "--wait", "2s", command="redo")
        seen(run, "waiting for the lock, held by pid ")
        time.sleep(max(0.0, began + 1.5 - time.monotonic()))
        holder.execute("SELECT pg_advisory_unlock_all()")
        assert run.wait() == 5, run.err
    assert "waited 2 s" in run.err
