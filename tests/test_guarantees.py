"""The promises: kill -9, lost connections, rivals, patience, one truth, signals, poolers, odd migrations.

`make trial` (trial.py) does the first of them a thousand times.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yoyo
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from psycopg import errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from yoyo.migrations import topological_sort as yoyo_sort

import killing
from killing import LAST, READER, SNAPSHOT, WRITER, Trial, blocked, check, rows, until
from own_server import own_server
from pgyoyo import bookkeeping
from pgyoyo.console import Console
from pgyoyo.engine.ledger import key_of
from pgyoyo.errors import DriftError, MigrationError, RollbackRefusedError, UsageError
from pgyoyo.migrations import reader
from pgyoyo.migrations.migration import hash_of
from pgyoyo.migrator import Migrator
from pgyoyo.server.postgres import EmbeddedServer
from probes import Probes
from proxy import Cut, Link, Proxy
from running import Run, Runners

KILLS, SEED = 60, 3
HERE = "datname = current_database()"
PARTS = 4  # of the kills, so that pytest's workers share them


@pytest.fixture(scope="module")
def trial(runners: Runners, server_conninfo: str) -> Iterator[Trial]:
    with ExitStack() as stack:
        yield Trial(server_conninfo, runners, stack)


@pytest.fixture(scope="module")
def own_trial(runners: Runners) -> Iterator[tuple[Trial, EmbeddedServer]]:
    """The same on a server that may be stopped; its commits wait for a standby as soon as one is named."""
    with own_server({"fsync": "off", "full_page_writes": "off"}) as server:
        yield Trial(server.conninfo("postgres"), runners, ExitStack()), server


@contextmanager
def gated(conninfo: str, migration: int, way: str, statement: int) -> Iterator[psycopg.Connection]:
    """A session that holds up runners at a statement until the end of the block, or until it lets go."""
    with psycopg.connect(conninfo, autocommit=True, application_name="gate") as gate:
        gate.execute(*killing.hold_gate(migration, way, statement))
        yield gate


def let_go(gate: psycopg.Connection) -> None:
    gate.execute("SELECT pg_advisory_unlock_all()")


def finished(trial: Trial, conninfo: str, way: str = "apply") -> None:
    """A plain run ends the work, with nothing done twice and no lock left."""
    run = trial.go(conninfo, way)
    assert run.wait() == 0, run.err
    with psycopg.connect(conninfo, autocommit=True) as conn:
        killing.alone(conn)
        state = check(conn)
        assert not state.journal
        assert len(state.applied) == (LAST if way == "apply" else 0)
        assert rows(conn, "SELECT * FROM yoyo_lock") == []
        assert rows(conn, "SELECT * FROM tally GROUP BY 1, 2, 3 HAVING count(*) > 1") == []


# --- 1. Killed. ---


@pytest.mark.parametrize("part", range(PARTS))
def test_ledger_and_catalog_agree_after_kill_9_and_a_plain_run_finishes(
    trial: Trial, part: int, record_property: Callable[[str, object], None]
) -> None:
    kills = killing.plan_kills(KILLS, SEED, trial.requests())[part::PARTS]
    trial.found.clear()
    trial.all(kills)
    assert sum(trial.found.values()) == KILLS // PARTS
    record_property("figures", killing.figures(trial))
    print(killing.figures(trial))


# --- 2. Connection lost. ---


def lost(trial: Trial, run: Run, conninfo: str, way: str, migration: int) -> bool:
    """Whether the migration went its way, after a run that lost its connection said that, and only that."""
    assert run.wait() == 1, run.err
    assert "Traceback" not in run.err
    with psycopg.connect(conninfo, autocommit=True) as conn:
        killing.alone(conn)
        done = check(conn).done(migration, way)
        assert rows(conn, "SELECT * FROM yoyo_lock") == []
    name = sorted(killing.WORK)[(migration - 1) * 2]
    verb = "applied" if way == "apply" else "rolled back"
    assert f"looked up afterwards: {name} is {'' if done else 'not '}{verb}" in run.err, run.err
    step = "Before you roll back more: pgyoyo status" if done and way == "rollback" else f"Run again: pgyoyo {way}"
    assert run.err.endswith(f". {step}\n"), run.err
    return done


@pytest.mark.parametrize(("way", "statement"), [("apply", 1), ("apply", 2), ("rollback", 1)])
def test_terminated_backend_is_reported_as_not_done(trial: Trial, way: str, statement: int) -> None:
    with trial.database(3 if way == "apply" else LAST) as conninfo, psycopg.connect(conninfo, autocommit=True) as conn:
        with gated(conninfo, 4, way, statement) as gate:
            run = trial.go(conninfo, way)
            blocked(conn, gate, run)
            killing.terminate(conn)
            assert not lost(trial, run, conninfo, way, 4)
        assert "terminating connection due to administrator command" in run.err
        finished(trial, conninfo, way)


@pytest.mark.parametrize(
    ("way", "statement", "how"),
    [("apply", 1, ""), ("apply", 2, SNAPSHOT), ("apply", 2, WRITER), ("apply", 5, ""), ("rollback", 1, READER)],
)
def test_terminated_backend_outside_of_a_transaction_resumes(trial: Trial, way: str, statement: int, how: str) -> None:
    with trial.database(2 if way == "apply" else 3) as conninfo, psycopg.connect(conninfo, autocommit=True) as conn:
        with gated(conninfo, 3, way, statement) as gate:
            if how:
                gate.execute(how)
            run = trial.go(conninfo, way)
            blocked(conn, gate, run)
            killing.terminate(conn)
            assert not lost(trial, run, conninfo, way, 3)
            assert check(conn).journal or statement == 1
        finished(trial, conninfo, way)


@pytest.mark.parametrize("way", ["apply", "rollback"])
@pytest.mark.parametrize("released", [True, False])
def test_connection_cut_in_a_statement_is_looked_up(trial: Trial, way: str, released: bool) -> None:
    with trial.database(3 if way == "apply" else LAST) as conninfo, psycopg.connect(conninfo, autocommit=True) as conn:
        with Proxy(conninfo) as proxy, gated(conninfo, 4, way, 1) as gate:
            run = trial.go(proxy.conninfo, way)
            blocked(conn, gate, run)
            proxy.cut()
            if released:
                let_go(gate)
            # Let go, the server went on to the end; else it noticed after two seconds that nobody listens.
            assert lost(trial, run, conninfo, way, 4) == released
        finished(trial, conninfo, way)


# What of the message reaches the server, and whether the migration is then done.
PLACES = {"before": False, "half": False, "sent": True, "answered": True, "late": True}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("way", "start", "migration", "mark"),
    [
        ("apply", 3, 4, b"CREATE TABLE u"),
        ("rollback", 4, 4, b"DROP TABLE u"),
        ("apply", 2, 3, b"DELETE FROM public._pgyoyo_journal"),
        ("rollback", 3, 3, b"DELETE FROM public._pgyoyo_journal"),
    ],
)
def test_connection_cut_at_commit_is_looked_up(
    trial: Trial, place: str, way: str, start: int, migration: int, mark: bytes
) -> None:
    chosen = []
    gone = threading.Event()

    def hook(link: Link, what: str, number: int, data: bytes) -> bytes:
        if what == "request" and mark in data and not chosen:
            assert b"COMMIT" in data
            chosen.append((link, number))
            if place == "before":
                raise Cut
            if place == "half":
                link.server.sendall(data[: len(data) // 2])
                raise Cut
            if place in ("sent", "late"):
                link.close(link.client)  # before the answer can come
                link.server.sendall(data)
            if place == "sent":
                raise Cut
            if place == "late":
                gone.wait(killing.PATIENCE)  # the server does not know yet
        if what == "answer" and place == "answered" and chosen == [(link, number)]:
            raise Cut
        return data

    with trial.database(start) as conninfo:
        with Proxy(conninfo, hook) as proxy:
            run = trial.go(proxy.conninfo, way)
            if place == "late":
                until(lambda: "waiting for the lock" in run.err or not run.alive, lambda: run.err)
                gone.set()
            done = lost(trial, run, conninfo, way, migration)
            assert done == PLACES[place]
            assert len(chosen) == 1
        finished(trial, conninfo, way)


def waits_for_a_standby(conninfo: str, conn: psycopg.Connection) -> bool:
    """Whether a commit waits for the standby by now: it does once the checkpointer, too, has read the setting."""
    with psycopg.connect(conninfo, autocommit=True, application_name="probe") as probe:
        pid = probe.info.backend_pid
        thread = threading.Thread(target=suppressed, args=(probe, "SELECT pg_logical_emit_message(true, 'probe', '')"))
        thread.start()
        state = f"SELECT wait_event, state FROM pg_stat_activity WHERE pid = {pid}"
        while thread.is_alive() and rows(conn, state)[:1] != [("SyncRep", "active")]:
            time.sleep(0.01)
        waited = thread.is_alive()
        conn.execute(f"SELECT pg_terminate_backend({pid})")
        thread.join()
    return waited


def suppressed(conn: psycopg.Connection, query: str) -> None:
    with suppress(psycopg.Error):
        conn.execute(query)


@contextmanager
def stuck_in_commit(trial: Trial, conninfo: str, conn: psycopg.Connection, way: str, migration: int) -> Iterator[Run]:
    """A runner whose COMMIT is in the server's log but waits for a standby that never comes."""
    conn.execute("SET synchronous_commit = local")
    with gated(conninfo, migration, way, 1) as gate:
        run = trial.go(conninfo, way)
        blocked(conn, gate, run)
        conn.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        conn.execute("SELECT pg_reload_conf()")
        until(lambda: waits_for_a_standby(conninfo, conn))
        stuck = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND application_name = 'pgyoyo'"
        let_go(gate)
        try:
            until(lambda: rows(conn, stuck) or not run.alive, lambda: run.err)
            yield run
        finally:
            with psycopg.connect(trial.server, autocommit=True) as admin:
                admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
                admin.execute("SELECT pg_reload_conf()")


@pytest.mark.parametrize("way", ["apply", "rollback"])
@pytest.mark.parametrize("end", ["terminated", "stopped", "killed"])
def test_what_ends_in_the_middle_of_commit_is_committed_and_reported_so(
    own_trial: tuple[Trial, EmbeddedServer], way: str, end: str
) -> None:
    trial, server = own_trial
    migration = 4
    with trial.database(migration - (way == "apply")) as conninfo:
        with (
            psycopg.connect(conninfo, autocommit=True) as conn,
            stuck_in_commit(trial, conninfo, conn, way, migration) as run,
        ):
            if end == "terminated":
                # Else the standby is no longer waited for before the session notices.
                session = "SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
                ((pid, _),) = rows(conn, session)
                until(lambda: not rows(conn, f"SELECT 1 FROM pg_stat_activity WHERE pid = {pid}"))
            elif end == "killed":
                run.kill()
            else:
                server.stop()
                server.ensure_running(lambda _: None)
        if end == "killed":
            assert run.wait() == -9
            with psycopg.connect(conninfo, autocommit=True) as conn:
                killing.alone(conn)
                assert check(conn).done(migration, way)
        else:
            assert lost(trial, run, conninfo, way, migration)
        finished(trial, conninfo, way)


@pytest.mark.parametrize(
    ("start", "way", "migration", "statement"), [(3, "apply", 4, 2), (2, "apply", 3, 3), (4, "rollback", 4, 1)]
)
def test_stopped_server_is_waited_for_and_asked(
    own_trial: tuple[Trial, EmbeddedServer], start: int, way: str, migration: int, statement: int
) -> None:
    trial, server = own_trial
    with trial.database(start) as conninfo:
        with psycopg.connect(conninfo, autocommit=True) as conn, gated(conninfo, migration, way, statement) as gate:
            run = trial.go(conninfo, way)
            blocked(conn, gate, run)
            server.stop()
            server.ensure_running(lambda _: None)
        assert not lost(trial, run, conninfo, way, migration)
        finished(trial, conninfo, way)


def test_lost_hook_is_not_said_to_be_undone(trial: Trial, database: str, tmp_path: Path) -> None:
    """The ledger has no row for a hook, so nothing can be looked up."""
    for name, text in (("0001_a", "CREATE TABLE a ()"), ("post-apply", "CREATE TABLE IF NOT EXISTS hooked ()")):
        (tmp_path / f"{name}.sql").write_text(f"{text};\n")

    def hook(link: Link, what: str, number: int, data: bytes) -> bytes:
        if what == "request" and b"TABLE IF NOT EXISTS hooked" in data:
            link.close(link.client)
            link.server.sendall(data)
            raise Cut
        return data

    with Proxy(database, hook) as proxy:
        run = trial.runners.run("apply", "--database", proxy.conninfo, "--migrations", tmp_path)
    assert run.wait() == 1
    assert "whether post-apply ran to its end is not known" in run.err, run.err
    assert "0001_a remains applied" in run.err


def test_session_lost_while_waiting_for_the_lock_ends_in_words(trial: Trial) -> None:
    with trial.database(0) as conninfo, psycopg.connect(conninfo, autocommit=True) as conn:
        conn.execute("SELECT pg_advisory_lock(%s)", [key_of("public")])
        run = trial.go(conninfo, "apply")
        until(lambda: "waiting for the lock" in run.err, lambda: run.err)
        killing.terminate(conn)
        assert run.wait() == 1, run.err
        assert "Traceback" not in run.err
        assert "terminating connection due to administrator command" in run.err


# --- 3. One runner. ---


@pytest.mark.parametrize(("start", "way"), [(0, "apply"), (2, "apply"), (LAST, "rollback")])
def test_of_eight_runners_at_once_each_migration_runs_once(trial: Trial, start: int, way: str) -> None:
    with trial.database(start) as conninfo:
        runs = [trial.go(conninfo, way) for _ in range(8)]
        assert [run.wait() for run in runs] == [0] * 8, [run.err for run in runs]
        finished(trial, conninfo, way)


def write_small(folder: Path, numbers: range) -> Path:
    """Migrations that the plain yoyo runs too; each leaves a row that tells how often it ran."""
    folder.mkdir(exist_ok=True)
    for n in numbers:
        (folder / f"{n:04}_small.sql").write_text(f"CREATE TABLE m{n} (x int);\nINSERT INTO ran VALUES ({n});\n")
        (folder / f"{n:04}_small.rollback.sql").write_text(f"DELETE FROM ran WHERE n = {n};\nDROP TABLE m{n};\n")
    return folder


@pytest.mark.parametrize("used", [False, True])
def test_of_four_ours_and_four_plain_yoyo_each_migration_runs_once(
    trial: Trial, database: str, conn: psycopg.Connection, tmp_path: Path, used: bool
) -> None:
    conn.execute("CREATE TABLE ran (n int)")
    folder = write_small(tmp_path / "sql", range(1, 4))
    words = ("apply", "--database", database, "--migrations", folder)
    if used:
        assert trial.runners.run(*words).wait() == 0
    write_small(folder, range(4, 11))
    plain_words = ("apply", folder, "--batch", "--no-config-file", "-d", yoyo_url(database))
    plain = [trial.runners.start(*plain_words, program="yoyo") for _ in range(4)]
    ours = [trial.runners.start(*words)]
    until(lambda: rows(conn, "SELECT to_regclass('yoyo_lock')") != [(None,)])
    ours += [trial.runners.start(*words) for _ in range(3)]
    assert [run.wait() for run in plain] == [0] * 4, [run.err for run in plain]
    assert [run.wait() for run in ours] == [0] * 4, [run.err for run in ours]
    assert rows(conn, "SELECT n FROM ran ORDER BY n") == [(n,) for n in range(1, 11)]
    assert rows(conn, "SELECT left(migration_id, 4)::int FROM _yoyo_migration ORDER BY 1") == [
        (n,) for n in range(1, 11)
    ]
    assert rows(conn, "SELECT count(*) FROM _yoyo_log WHERE operation = 'apply'") == [(10,)]
    assert rows(conn, "SELECT * FROM yoyo_lock") == []


def test_stale_row_of_a_dead_runner_is_taken_over_even_with_nothing_to_do(trial: Trial) -> None:
    for start in (1, LAST):
        with trial.database(start) as conninfo, psycopg.connect(conninfo, autocommit=True) as conn:
            conn.execute("INSERT INTO yoyo_lock VALUES (1, now(), -99999)")
            finished(trial, conninfo)


def test_row_of_the_plain_yoyo_is_waited_for_and_never_removed(trial: Trial) -> None:
    for start in (0, 1):
        with trial.database(start) as conninfo, psycopg.connect(conninfo, autocommit=True) as conn:
            conn.execute(
                "CREATE TABLE IF NOT EXISTS yoyo_lock (locked INT DEFAULT 1 PRIMARY KEY, ctime TIMESTAMP, pid INT NOT NULL)"
            )
            conn.execute("INSERT INTO yoyo_lock VALUES (1, '2026-01-02 03:04:05', 99999)")
            run = trial.pgyoyo(conninfo, "apply", "--wait", "300ms")
            assert run.wait() == 5, run.err
            assert "the plain yoyo (process 99999, since 2026-01-02 03:04:05 UTC)" in run.err
            assert rows(conn, "SELECT pid FROM yoyo_lock") == [(99999,)]
            assert len(check(conn).applied) == start
            # It ends; whoever waits goes on.
            waiting = trial.go(conninfo, "apply")
            until(lambda waiting=waiting: "waiting for the lock" in waiting.err, lambda waiting=waiting: waiting.err)
            conn.execute("DELETE FROM yoyo_lock")
            assert waiting.wait() == 0, waiting.err
            finished(trial, conninfo)


def test_what_the_plain_yoyo_applied_until_it_ended_is_not_applied_again(
    trial: Trial, database: str, conn: psycopg.Connection, tmp_path: Path
) -> None:
    conn.execute("CREATE TABLE ran (n int)")
    folder = write_small(tmp_path / "sql", range(1, 4))
    words = ("apply", "--database", database, "--migrations", folder)
    assert trial.runners.run(*words, "--to", "1").wait() == 0
    conn.execute("INSERT INTO yoyo_lock VALUES (1, now(), 99999)")
    waiting = trial.runners.start(*words)
    until(lambda: "waiting for the lock" in waiting.err, lambda: waiting.err)
    conn.execute((folder / "0002_small.sql").read_text().encode())
    conn.execute("INSERT INTO _yoyo_migration VALUES (%s, '0002_small', now())", [hash_of("0002_small")])
    conn.execute("DELETE FROM yoyo_lock")
    assert waiting.wait() == 0, waiting.err
    assert rows(conn, "SELECT n FROM ran ORDER BY n") == [(1,), (2,), (3,)]


def test_second_runner_names_the_first_and_gives_up_with_5(trial: Trial) -> None:
    with trial.database(0) as conninfo, psycopg.connect(conninfo, autocommit=True) as conn:
        with gated(conninfo, 1, "apply", 2) as gate:
            first = trial.go(conninfo, "apply")
            blocked(conn, gate, first)
            pid, user, client = rows(
                conn,
                "SELECT pid, usename, coalesce(host(client_addr), 'local') FROM pg_stat_activity "
                f"WHERE application_name = 'pgyoyo' AND {HERE}",
            )[0]
            second = trial.pgyoyo(conninfo, "apply", "--wait", "300ms")
            assert second.wait() == 5, second.err
            assert f"waiting for the lock, held by pid {pid} (pgyoyo, user {user}, {client}, since " in second.err
            assert "waited 0.3 s" in second.err
            let_go(gate)
            assert first.wait() == 0, first.err
        finished(trial, conninfo)


@pytest.mark.parametrize(("way", "how"), [("apply", WRITER), ("apply", SNAPSHOT), ("rollback", READER)])
def test_waiting_runner_is_not_in_the_way_of_an_index_built_concurrently(trial: Trial, way: str, how: str) -> None:
    with trial.database(2 if way == "apply" else 3) as conninfo, psycopg.connect(conninfo, autocommit=True) as conn:
        with psycopg.connect(conninfo, autocommit=True, application_name="gate") as gate:
            gate.execute(how)
            first = trial.go(conninfo, way)
            blocked(conn, gate, first)
            second = trial.go(conninfo, way)
            until(lambda: "waiting for the lock" in second.err, lambda: second.err)
        assert [first.wait(), second.wait()] == [0, 0], first.err + second.err
        assert "deadlock" not in first.err + second.err
        finished(trial, conninfo, way)


# --- 4. Patience. ---


@pytest.mark.parametrize(("way", "start"), [("apply", 1), ("rollback", 2)])
def test_traffic_behind_our_alter_never_waits_longer_than_its_lock_timeout(trial: Trial, way: str, start: int) -> None:
    with trial.database(start) as conninfo, psycopg.connect(conninfo, autocommit=True) as conn:
        with (
            psycopg.connect(conninfo, autocommit=True, application_name="long report") as reader,
            Probes(conninfo, limit=2000) as probes,
        ):
            reader.execute("BEGIN; SELECT sum(v) AS the_long_report FROM t")
            run = trial.pgyoyo(conninfo, way, "--to", "2" if way == "apply" else "1")
            waited = 0

            def enough() -> bool:
                nonlocal waited
                waited += probes.behind(conn, "pgyoyo")
                tried = run.err.count("retrying in") >= 4 and "holds ACCESS SHARE; retrying" in run.err
                return (waited >= 3 and tried) or not run.alive

            until(enough, lambda: f"{waited} {run.err}")
            assert run.alive, run.err
            assert not check(conn).done(2, way)
            pid = reader.info.backend_pid
            reader.rollback()
            assert run.wait() == 0, run.err
            assert probes.blocked == 0, f"{probes.blocked} of {probes.done + probes.blocked}"
        assert f"within 100 ms: pid {pid} (long report, role {conn.info.user}, idle in transaction for " in run.err
        assert "could not get ACCESS EXCLUSIVE on t within 100 ms: " in run.err
        assert ") holds ACCESS SHARE; retrying in " in run.err
        assert "giving up in 9 min " in run.err
        finished(trial, conninfo, way)


def test_the_probes_do_notice_an_alter_without_patience(trial: Trial) -> None:
    """The control of the test above: the same statement sent bare stalls everyone."""
    with trial.database(1) as conninfo, psycopg.connect(conninfo, autocommit=True) as reader:
        reader.execute("BEGIN; SELECT sum(v) FROM t")
        with Probes(conninfo, limit=2000) as probes, psycopg.connect(conninfo, autocommit=True) as bare:
            thread = threading.Thread(target=lambda: bare.execute("ALTER TABLE t ADD COLUMN w int"))
            thread.start()
            until(lambda: probes.blocked)
            reader.rollback()
            thread.join()


def test_give_up_after_ends_with_1_and_the_name(trial: Trial) -> None:
    with trial.database(1) as conninfo, psycopg.connect(conninfo, autocommit=True) as conn:
        with psycopg.connect(conninfo, autocommit=True, application_name="long report") as reader:
            reader.execute("BEGIN; SELECT sum(v) FROM t")
            run = trial.pgyoyo(conninfo, "apply", "--give-up-after", "2s")
            assert run.wait() == 1, run.err
            assert "; giving up" in run.err
            assert f"pid {reader.info.backend_pid} (long report" in run.err
            assert "canceling statement due to lock timeout" in run.err
            assert "0002_column failed and was rolled back; 0001_tables remains applied" in run.err
            killing.alone(conn)
            assert check(conn).applied == {1}
            assert rows(conn, "SELECT * FROM yoyo_lock") == []
            # Nobody is ever terminated.
            assert reader.execute("SELECT 1").fetchone() == (1,)
        finished(trial, conninfo)


@pytest.mark.parametrize("patient", [True, False])
def test_deadlock_with_an_application_is_ours_to_lose_and_is_tried_again(
    trial: Trial, database: str, tmp_path: Path, patient: bool
) -> None:
    """By lock_timeout before PostgreSQL sees a deadlock; with a long lock-timeout by PostgreSQL's own detection."""
    header = "-- lock-timeout: 30s\n" if patient else ""
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "0001_both.sql").write_text(
        f"{header}ALTER TABLE a ADD COLUMN x int;\n"
        "SELECT pg_advisory_xact_lock_shared(7, 7);\n"
        "ALTER TABLE b ADD COLUMN x int;\n"
    )
    (folder / "0001_both.rollback.sql").write_text("ALTER TABLE a DROP COLUMN x;\nALTER TABLE b DROP COLUMN x;\n")
    with psycopg.connect(database, autocommit=True) as conn, psycopg.connect(database, autocommit=True) as gate:
        conn.execute("CREATE TABLE a (i int); CREATE TABLE b (i int)")
        with psycopg.connect(database, autocommit=True, application_name="shop") as shop:
            pid = shop.info.backend_pid
            shop.execute("SET deadlock_timeout = '5min'")
            shop.execute("BEGIN; INSERT INTO b VALUES (1)")
            gate.execute("SELECT pg_advisory_lock(7, 7)")
            run = trial.runners.start("apply", "--database", database, "--migrations", folder)
            if patient:
                blocked(conn, gate, run)
            ended: list[str] = []

            def sell() -> None:
                shop.execute("INSERT INTO a VALUES (1)")
                shop.execute("COMMIT")
                ended.append("sold")

            thread = threading.Thread(target=sell)
            thread.start()
            behind = "SELECT count(*) FROM pg_locks WHERE pid = %s AND NOT granted"
            if patient:
                until(lambda: conn.execute(behind, [shop.info.backend_pid]).fetchone() == (1,))
            gate.execute("SELECT pg_advisory_unlock_all()")
            thread.join(killing.PATIENCE)
            assert ended == ["sold"]
        assert run.wait() == 0, run.err
        if patient:
            assert f"0001_both: deadlock: pid {pid} (shop, " in run.err, run.err
            assert "retrying in" in run.err
        else:
            assert "deadlock" not in run.err
        assert rows(
            conn, "SELECT count(*) FROM pg_attribute WHERE attname = 'x' AND attrelid IN ('a'::regclass, 'b'::regclass)"
        ) == [(2,)]


# --- 5. One truth: a model of what must happen, and yoyo's own view of it. ---


@dataclass(frozen=True)
class Text:
    """What a pair of files says: it makes a table whose comment is the version, so that an edit shows."""

    id: str
    version: int
    depends: tuple[str, ...]
    transactional: bool

    def write(self, folder: Path) -> None:
        head = f"-- Makes {self.id}.\n" + (f"-- depends: {' '.join(self.depends)}\n" if self.depends else "")
        head += "" if self.transactional else "-- transactional: false\n"
        (folder / f"{self.id}.sql").write_text(
            f"{head}CREATE TABLE {self.id} (x int);\nCOMMENT ON TABLE {self.id} IS '{self.version}';\n"
        )
        (folder / f"{self.id}.rollback.sql").write_text(f"-- Version {self.version}.\nDROP TABLE {self.id};\n")


class Everything(RuleBasedStateMachine):
    """Files come, change and go; every command of ours runs; after each step all tables and yoyo agree with the model."""

    conninfo = ""
    folder = Path()

    @initialize()
    def begin(self) -> None:
        self.files: dict[str, Text] = {}
        self.applied: list[Text] = []  # in the order of applying, with the text that was applied or accepted
        self.tables: dict[str, int] = {}
        self.log: list[tuple[str, str]] = []
        for path in self.folder.iterdir():
            path.unlink()
        self.conn = psycopg.connect(self.conninfo, autocommit=True)
        self.conn.execute("SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
        self.yoyo = yoyo.get_backend(yoyo_url(self.conninfo))

    def teardown(self) -> None:
        if hasattr(self, "conn"):
            self.conn.close()
            self.yoyo.connection.close()

    # What the model needs to know.

    def names(self) -> list[str]:
        return [text.id for text in self.applied]

    def pending(self) -> list[str]:
        """In yoyo's own order."""
        return [m.id for m in self.yoyo.to_apply(yoyo.read_migrations(str(self.folder)))] if self.files else []

    def edited(self) -> set[str]:
        return {text.id for text in self.applied if self.files.get(text.id, text).version != text.version}

    def to_roll_back(self, names: Collection[str]) -> list[Text] | None:
        """The texts that would go, last applied first; None where a dependent would stay."""
        if any(text.id not in names and set(text.depends) & set(names) for text in self.applied):
            return None
        return [text for text in reversed(self.applied) if text.id in names]

    def does(self, expected: type[Exception] | None, action: Callable[[Migrator], object]) -> None:
        """Do it with a new Migrator, as a new process would; it must raise just that."""
        if not self.files:
            return
        one = Migrator(self.conn, reader.read([str(self.folder)]), Console(quiet=True))
        if expected is None:
            action(one)
        else:
            with pytest.raises(expected):
                action(one)

    def model_apply(self, names: Sequence[str]) -> type[Exception] | None:
        for name in names:
            if name in self.tables:
                return MigrationError  # unmarked, its table still there
            self.tables[name] = self.files[name].version
            self.applied.append(self.files[name])
            self.log.append(("apply", name))
        return None

    def model_roll_back(self, going: Sequence[Text]) -> type[Exception] | None:
        for text in going:
            if text.id not in self.tables:
                return MigrationError  # marked, its table never made
            del self.tables[text.id]
            self.applied.remove(text)
            self.log.append(("rollback", text.id))
        return None

    # Files.

    @rule(number=st.integers(1, 30), transactional=st.booleans(), data=st.data())
    def add_file(self, number: int, transactional: bool, data: st.DataObject) -> None:
        name = f"m{number:02}"
        if name in self.files or name in self.names():
            return
        depends = (
            data.draw(st.lists(st.sampled_from(sorted(self.files)), max_size=2, unique=True)) if self.files else []
        )
        self.files[name] = Text(name, 1, tuple(depends), transactional)
        self.files[name].write(self.folder)

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def edit_file(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.files)))
        self.files[name] = replace(self.files[name], version=self.files[name].version + 1)
        self.files[name].write(self.folder)

    @precondition(lambda self: self.edited())
    @rule()
    def restore_files(self) -> None:
        for text in self.applied:
            if text.id in self.edited():
                self.files[text.id] = text
                text.write(self.folder)

    @precondition(lambda self: len(self.files) > 1)
    @rule(data=st.data())
    def delete_file(self, data: st.DataObject) -> None:
        needed = {name for text in self.files.values() for name in text.depends}
        if free := sorted(set(self.files) - needed):
            name = data.draw(st.sampled_from(free))
            del self.files[name]
            for path in self.folder.glob(f"{name}.*"):
                path.unlink()

    # Commands.

    @rule()
    def apply(self) -> None:
        expected = DriftError if self.edited() else self.model_apply(self.pending())
        self.does(expected, lambda one: one.apply())

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def apply_to(self, data: st.DataObject) -> None:
        target = data.draw(st.sampled_from(sorted(self.files)))
        expected: type[Exception] | None = DriftError
        if not self.edited():
            pending = self.pending()
            expected = self.model_apply(pending[: pending.index(target) + 1]) if target in pending else None
        self.does(expected, lambda one: one.apply(target=target))

    @precondition(lambda self: self.files and self.applied)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        names = self.names()
        options: dict[str, Any] = data.draw(
            st.one_of(
                st.fixed_dictionaries({"count": st.integers(1, 3)}),
                st.fixed_dictionaries({"ids": st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True)}),
                st.fixed_dictionaries({"target": st.sampled_from(names)}),
                st.just({"everything": True}),
            )
        )
        chosen = options.get("ids", names)
        if "count" in options:
            chosen = names[-options["count"] :]
        if "target" in options:
            chosen = names[names.index(options["target"]) + 1 :]
        going = self.to_roll_back(chosen)
        expected: type[Exception] | None = RollbackRefusedError
        if going is not None:
            expected = DriftError if self.edited() & set(chosen) else self.model_roll_back(going)
        self.does(expected, lambda one: one.rollback(**options))

    @precondition(lambda self: self.files and self.applied)
    @rule(count=st.integers(1, 2))
    def redo(self, count: int) -> None:
        chosen = self.names()[-count:]
        expected: type[Exception] | None = UsageError
        if set(chosen) <= set(self.files):
            expected = self.model_roll_back(self.applied[: -count - 1 : -1]) or self.model_apply(chosen)
        self.does(expected, lambda one: one.redo(count=count))

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def mark(self, data: st.DataObject) -> None:
        names = data.draw(st.lists(st.sampled_from(sorted(self.files)), min_size=1, max_size=2, unique=True))
        expected = UsageError if set(names) & set(self.names()) else None
        if expected is None:
            for name in self.pending():
                if name in names:
                    self.applied.append(self.files[name])
                    self.log.append(("mark", name))
        self.does(expected, lambda one: bookkeeping.mark(one, names))

    @precondition(lambda self: self.files and self.applied)
    @rule(data=st.data())
    def unmark(self, data: st.DataObject) -> None:
        names = data.draw(st.lists(st.sampled_from(self.names()), min_size=1, max_size=2, unique=True))
        going = self.to_roll_back(names)
        for text in going or ():
            self.applied.remove(text)
            self.log.append(("unmark", text.id))
        expected = RollbackRefusedError if going is None else None
        self.does(expected, lambda one: bookkeeping.unmark(one, names))

    @precondition(lambda self: self.files and self.applied)
    @rule(data=st.data())
    def repair(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(self.names()))
        if name in self.files:
            self.applied = [self.files[name] if text.id == name else text for text in self.applied]
        self.does(None if name in self.files else UsageError, lambda one: bookkeeping.repair(one, [name]))

    # What must be true after each step.

    @invariant()
    def all_agree(self) -> None:
        if not hasattr(self, "conn") or rows(self.conn, "SELECT to_regclass('_pgyoyo_migration')") == [(None,)]:
            return
        ledger = rows(self.conn, "SELECT migration_id, applied_at_utc FROM _yoyo_migration ORDER BY applied_at_utc")
        assert [name for name, _ in ledger] == self.names()
        history = "SELECT migration_id, applied_at_utc, apply_text FROM _pgyoyo_migration ORDER BY applied_at_utc"
        ours = rows(self.conn, history)
        assert [row[:2] for row in ours] == ledger
        assert all(f"IS '{text.version}'" in row[2] for text, row in zip(self.applied, ours, strict=True))
        log = rows(self.conn, "SELECT operation, migration_id FROM _yoyo_log ORDER BY created_at_utc")
        assert log == self.log
        tables = "SELECT relname, obj_description(oid)::int FROM pg_class WHERE relkind = 'r' AND relname ~ '^m[0-9]'"
        assert dict(rows(self.conn, tables)) == self.tables
        assert rows(self.conn, "SELECT 1 FROM yoyo_lock UNION ALL SELECT 1 FROM _pgyoyo_journal") == []

    @invariant()
    def status_and_the_plain_list_agree(self) -> None:
        if not hasattr(self, "conn") or not self.files:
            return
        migrations = yoyo.read_migrations(str(self.folder))
        assert {m.id for m in migrations if self.yoyo.is_applied(m)} == set(self.names()) & set(self.files)
        found = Migrator(self.conn, reader.read([str(self.folder)]), Console(quiet=True)).status()
        assert [row.id for row in found.applied] == self.names()
        assert [m.id for m in found.pending] == self.pending()
        assert {m.id for m in found.edited} == self.edited()
        assert [row.id for row in found.missing] == [name for name in self.names() if name not in self.files]
        # Read anew: of two readings in one process yoyo forgets the first one's dependencies.
        order = [m.id for m in yoyo_sort(yoyo.read_migrations(str(self.folder)))]
        last = max((order.index(name) for name in self.names() if name in order), default=-1)
        assert {m.id for m in found.out_of_order} == set(order[: last + 1]) - set(self.names())


def yoyo_url(conninfo: str) -> str:
    """The database for the plain yoyo."""
    facts = conninfo_to_dict(conninfo)
    query = "&".join(f"{name}={facts[name]}" for name in ("host", "port", "password") if facts.get(name))
    return f"postgresql+psycopg://{facts['user']}@/{facts['dbname']}?{query}"


def test_ledger_log_history_and_catalog_agree_with_a_model_and_with_yoyo(database: str, tmp_path: Path) -> None:
    Everything.conninfo, Everything.folder = database, tmp_path
    run_state_machine_as_test(
        Everything,
        settings=settings(
            max_examples=int(os.environ.get("PGYOYO_EXAMPLES") or 25),
            stateful_step_count=20,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,),  # to shrink an example takes minutes; its steps are printed in any case
        ),
    )


# --- 6. SIGINT and SIGTERM. ---


@pytest.fixture(scope="module")
def commands() -> Iterator[Runners]:
    """The real command, not forked."""
    with Runners(command=True) as found:
        yield found


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("where", ["transaction", "index", "lock", "pause"])
def test_signal_ends_a_run_cleanly(trial: Trial, commands: Runners, number: int, code: int, where: str) -> None:
    start = {"transaction": 3, "index": 2, "lock": 2, "pause": 1}[where]
    with trial.database(start) as conninfo, psycopg.connect(conninfo, autocommit=True) as conn:
        with psycopg.connect(conninfo, autocommit=True, application_name="gate") as gate:
            if where == "lock":
                gate.execute("SELECT pg_advisory_lock(%s)", [key_of("public")])
            elif where == "transaction":
                gate.execute(*killing.hold_gate(4, "apply", 2))
            else:
                gate.execute(SNAPSHOT if where == "index" else READER)
            run = commands.start("apply", "--database", conninfo, "--migrations", trial.folder)
            if where in ("transaction", "index"):
                blocked(conn, gate, run)
            else:
                words = "waiting for the lock" if where == "lock" else "retrying in"
                until(lambda: words in run.err or not run.alive, lambda: run.err)
            run.kill(number)
            assert run.wait() == code, run.err
            assert run.err.splitlines()[-1] == (
                "interrupted; what was not committed is rolled back. `pgyoyo status` shows what is applied."
            )
            assert "Traceback" not in run.err
            killing.alone(conn)
            state = check(conn)
            assert len(state.applied) == start
            assert bool(state.journal) == (where == "index")
            assert rows(conn, "SELECT * FROM yoyo_lock") == []
        finished(trial, conninfo)


# --- 7. Poolers. ---


def another_pid(data: bytes) -> tuple[bytes, int]:
    """The answer to a login with another number in BackendKeyData, and the server's."""
    place = data.find(b"K\0\0\0")
    pid = int.from_bytes(data[place + 5 : place + 9])
    return data[: place + 5] + (pid + 1).to_bytes(4) + data[place + 9 :], pid


def test_pooler_in_session_mode_is_fine(trial: Trial) -> None:
    def hook(link: Link, what: str, number: int, data: bytes) -> bytes:
        return another_pid(data)[0] if (what, number) == ("answer", 0) else data

    with trial.database(0) as conninfo, Proxy(conninfo, hook) as proxy:
        finished(trial, proxy.conninfo)


@pytest.mark.parametrize("start", [0, 1])
def test_transaction_pooler_is_refused(trial: Trial, start: int) -> None:
    pids: dict[Link, bytes] = {}

    def hook(link: Link, what: str, number: int, data: bytes) -> bytes:
        """As with PgBouncer: a pid of its own for the login, and the first client's server session for everybody."""
        if (what, number) == ("answer", 0):
            data, pid = another_pid(data)
            pids[link] = b"%d" % pid
        elif what == "answer" and link in pids:
            first = next(iter(pids.values()))
            data = data.replace(pids[link], first.rjust(len(pids[link]), b"0"))
        return data

    with trial.database(start) as conninfo, psycopg.connect(conninfo, autocommit=True) as conn:
        for words in (("apply",), ("rollback",), ("mark", "1")):
            with Proxy(conninfo, hook) as proxy:
                run = trial.pgyoyo(proxy.conninfo, *words)
                assert run.wait() == (0 if words == ("rollback",) and start == 0 else 1), run.err
            if run.wait():
                assert "goes through a pooler" in run.err
                assert "connect to PostgreSQL itself, or to a pool in session mode" in run.err
        assert len(check(conn).applied) == start
        killing.alone(conn)
        assert (
            rows(
                conn,
                f"SELECT * FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE locktype = 'advisory' AND {HERE}",
            )
            == []
        )
        finished(trial, conninfo)


# --- 8. Migrations that change what the ledger is found by. ---


def test_ledger_stays_where_it_is_whatever_a_migration_does(
    trial: Trial, server_conninfo: str, database: str, conn: psycopg.Connection, tmp_path: Path
) -> None:
    role, other = f"app_{os.getpid()}", f"other_{os.getpid()}"
    folder = tmp_path / "sql"
    folder.mkdir()
    files = [
        f"CREATE SCHEMA {role}; CREATE TABLE {role}.things (x int)",
        f"ALTER ROLE {role} SET search_path = {role}, public; ALTER ROLE {role} SET lock_timeout = '7s'",
        "SELECT pg_catalog.set_config('search_path', '', false); CREATE TABLE public.lost (x int)",
        f"SET ROLE {other}; CREATE TABLE {other}.theirs (x int)",
        f"ALTER ROLE {role} RESET ALL; RESET ALL",
        "SET statement_timeout = '2s'; SET default_transaction_read_only = on",
        f"CREATE TABLE {role}.last (x int)",
    ]
    for number, text in enumerate(files, start=1):
        (folder / f"{number:04}_odd.sql").write_text(f"{text};\nINSERT INTO public.ran VALUES ({number});\n")
        (folder / f"{number:04}_odd.rollback.sql").write_text(f"DELETE FROM public.ran WHERE n = {number};\n")
    try:
        for name in (role, other):
            conn.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
        conn.execute(
            sql.SQL("GRANT {} TO {}; CREATE SCHEMA {} AUTHORIZATION {}").format(
                *map(sql.Identifier, (other, role, other, other))
            )
        )
        conn.execute(
            sql.SQL("GRANT ALL ON SCHEMA public TO {0}; GRANT ALL ON DATABASE {1} TO {0}").format(
                sql.Identifier(role), sql.Identifier(conn.info.dbname)
            )
        )
        conn.execute(
            sql.SQL("CREATE TABLE ran (n int); GRANT ALL ON ran TO {}, {}").format(
                sql.Identifier(role), sql.Identifier(other)
            )
        )
        words = ("--database", make_conninfo(database, user=role), "--migrations", folder)
        runs = [trial.runners.run("apply", *words) for _ in range(2)]
        assert [run.wait() for run in runs] == [0, 0], [run.err for run in runs]
        assert "nothing to do: 7 applied, none pending" in runs[1].out
        assert rows(conn, "SELECT n FROM ran ORDER BY n") == [(n,) for n in range(1, 8)]
        assert rows(
            conn, "SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = '_yoyo_migration'"
        ) == [("public",)]
        assert rows(conn, "SELECT count(*) FROM _yoyo_migration JOIN _pgyoyo_migration USING (migration_hash)") == [
            (7,)
        ]
        back = trial.runners.run("rollback", "--all", "--yes", *words)
        assert back.wait() == 0, back.err
        assert rows(conn, "SELECT count(*) FROM ran") == [(0,)]
        assert rows(conn, "SELECT count(*) FROM _yoyo_migration") == [(0,)]
    finally:
        for name in (role, other):
            with suppress(errors.UndefinedObject):
                conn.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(name)))
        for name in (role, other):
            conn.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
