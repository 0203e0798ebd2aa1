"""A running backfill is paused, resumed and limited from another terminal; backfills run later than what needs them not."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from psycopg import Connection
from psycopg.conninfo import make_conninfo

from filling import BATCHED, RIGHT, SLOW, UPDATE, folder, kill, make, one, running, until
from pgyoyo import apply
from pgyoyo.backfill.control import Control, change, parse
from pgyoyo.backfill.pacing import Limits, is_within
from pgyoyo.backfill.throttle import Throttle
from pgyoyo.cli.main import main  # noqa: F401 - the entry point that run_here calls
from pgyoyo.errors import UsageError
from pgyoyo.units import is_window
from running import Runners


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    return folder(tmp_path)


@pytest.fixture
def pgyoyo(run_here: Callable, database: str, sql: Path) -> Callable:
    def pgyoyo(*words: str, url: str = database):
        return run_here(*words, "--database", url, "--migrations", "sql", cwd=sql.parent)

    return pgyoyo


def test_pause_limit_and_resume_reach_the_runner(
    conn: Connection, database: str, sql: Path, pgyoyo: Callable, runners: Runners
) -> None:
    make(conn)
    with running(runners, database, sql, *SLOW) as runner:
        result = pgyoyo("backfill", "pause")
        assert result.out == "0001_fill: paused, from its next batch on\n", result.err
        until(lambda: one(conn, "SELECT waiting FROM _pgyoyo_backfill") == "paused (pgyoyo backfill resume)", runner)
        rows, control = (
            one(conn, "SELECT rows FROM _pgyoyo_backfill"),
            one(conn, "SELECT control FROM _pgyoyo_backfill"),
        )
        only_reads = make_conninfo(database, options="-c default_transaction_read_only=on")
        for words in (("pause",), ("resume",), ("limit", "--target", "1s"), ("limit", "--reset")):
            result = pgyoyo("backfill", *words, url=only_reads)
            assert (result.code, result.out) == (1, "")
            assert result.err.startswith(
                "error: this session only reads: default_transaction_read_only is on, a setting of "
            )
        assert one(conn, "SELECT control FROM _pgyoyo_backfill") == control
        assert "backfill waiting: " in pgyoyo("status").out
        assert "paused (pgyoyo backfill resume)" in pgyoyo("status").out
        [state] = json.loads(pgyoyo("status", "--format", "json").out)["backfills"]
        assert state["waits_for"] == "paused (pgyoyo backfill resume)"
        (sql / "0002_other.sql").write_text("SELECT 1")
        assert "0002_other has no backfill under way; 0001_fill has" in pgyoyo("backfill", "pause", "2").err
        result = pgyoyo("backfill", "limit", "1", "--pause", "0%", "--target", "40ms")
        assert result.out == "0001_fill: paused, target 40 ms, pause 0%, from its next batch on\n"
        assert one(conn, "SELECT rows FROM _pgyoyo_backfill") == rows
        assert pgyoyo("backfill", "resume", "0001_fill").code == 0
        code, err = runner.wait(), runner.err
    assert code == 0, err
    assert "now as pgyoyo backfill says: paused" in err
    assert "waiting: paused (pgyoyo backfill resume)" in err
    assert "now as pgyoyo backfill says: target 40 ms, pause 0%" in err
    assert one(conn, RIGHT) == 0


def test_paused_one_waits_when_it_is_resumed_by_a_new_run_past_give_up_after(
    conn: Connection, database: str, sql: Path, pgyoyo: Callable, runners: Runners
) -> None:
    make(conn)
    with running(runners, database, sql, *SLOW) as runner:
        pgyoyo("backfill", "limit", "--window", "00:00-00:01")
        pgyoyo("backfill", "pause")
        kill(runner, conn)
    assert "when it is resumed: pgyoyo apply" in pgyoyo("backfill", "limit", "--window", "any").out
    with running(runners, database, sql, "--give-up-after", "0") as runner:
        until(lambda: one(conn, "SELECT waiting FROM _pgyoyo_backfill") != "", runner)
        assert pgyoyo("backfill", "resume").code == 0
        code, err = runner.wait(), runner.err
    assert code == 0, err
    assert one(conn, RIGHT) == 0


def test_table_of_an_earlier_version_gets_what_it_lacks(
    conn: Connection, database: str, sql: Path, pgyoyo: Callable, runners: Runners
) -> None:
    make(conn)
    with running(runners, database, sql, *SLOW) as runner:
        kill(runner, conn)
    for column in ("statement", "account", "busy", "cascaded", "horizon", "waiting", "control"):
        conn.execute(f"ALTER TABLE _pgyoyo_backfill DROP COLUMN {column}".encode())
    assert "backfill interrupted: " in pgyoyo("status").out
    assert "0001_fill: paused, when it is resumed" in pgyoyo("backfill", "pause").out
    assert "  paused: pgyoyo backfill resume\n" in pgyoyo("status").out
    assert pgyoyo("backfill", "resume").code == 0
    assert "paused" not in pgyoyo("status").out
    result = pgyoyo("apply")
    assert result.code == 0, result.err
    assert one(conn, RIGHT) == 0


def test_backfill_that_ended_meanwhile_is_said_to_have(conn: Connection, pgyoyo: Callable) -> None:
    make(conn, 10)
    assert pgyoyo("apply").code == 0
    with pytest.raises(UsageError, match="has ended meanwhile"):
        change(conn, "public", "its hash", {"paused": True})


WRONG = {
    ("limit",): "give a limit: --target",
    ("limit", "--target", "0"): "it must be between 1 ms and 60 s",
    ("limit", "--window", "22:00"): 'is "22:00"; write two times of the day',
    ("limit", "--window", "22:00-22:00"): "write two times of the day",
    ("limit", "--window", "22:00-24:00"): "write two times of the day",
    ("limit", "--reset", "--target", "1s"): "use --reset without other limits",
    ("pause",): "no backfill is under way; what it may take",
    ("pause", "0009"): "no backfill is under way",
    ("run", "2"): "0002_other is no backfill; pgyoyo apply applies it",
    ("run", "9"): 'no migration "9"',
}  # fmt: skip


@pytest.mark.parametrize("words", WRONG, ids=" ".join)
def test_what_makes_no_sense_is_refused_with_what_to_write(words: tuple[str, ...], sql: Path, pgyoyo: Callable) -> None:
    (sql / "0002_other.sql").write_text("SELECT 1")
    result = pgyoyo("backfill", *words)
    assert result.code == 2, result.out
    assert WRONG[words] in result.err


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Niue", "+03:30"])
def test_window_is_one_of_the_sessions_time_zone(zone: str, conn: Connection) -> None:
    """Whichever hour it is there: the next one is outside, the whole day but for the next one is inside."""
    conn.execute(f"SET timezone = '{zone}'".encode())
    hour = int(str(one(conn, "SELECT extract(hour FROM clock_timestamp() + interval '2 minutes')")))
    clocks = [f"{(hour + more) % 24:02}:59" for more in (0, 2)]
    for window, inside in (("{}-{}", False), ("{1}-{0}", True)):
        throttle = Throttle(conn, Limits(window=window.format(*clocks)), lambda _: None)
        reason = throttle.by_wish()
        assert (reason == "") is inside, reason
        assert inside or f"({one(conn, 'SHOW timezone')}), outside of its window" in reason


def test_window_may_pass_midnight() -> None:
    assert [is_within("22:00-06:00", now) for now in ("22:00", "23:59", "00:00", "05:59", "06:00", "21:59")] == [
        True, True, True, True, False, False,
    ]  # fmt: skip
    assert [is_within("06:00-22:00", now) for now in ("06:00", "21:59", "22:00", "05:59")] == [True, True, False, False]
    assert [is_window(text) for text in ("", "00:00-23:59", "1:00-2:00", "25:00-26:00", "x")] == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    "text",
    ["", "[]", "3", "{", '{"target": 0.5, "unknown": 1}', '{"window": "nonsense"}', '{"window": 5}', '{"pause": "30ms"}',
     '{"pause": -1}', '{"pause": null, "max_replica_lag": true, "paused": "no"}'],
)  # fmt: skip
def test_row_that_says_nonsense_changes_nothing(text: str) -> None:
    control = parse(text)
    assert control == Control(target=0.5) if "target" in text else control == Control()
    assert control.limits(Limits()).window == ""


# --- Later ---

FILES = {
    "0001_make.sql": "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL DEFAULT 1, b int); INSERT INTO t SELECT 1",
    "0002_fill.sql": BATCHED + UPDATE,
    "0003_index.sql": "CREATE INDEX i ON T (b)",
    "0004_free.sql": "CREATE TABLE u (t_id int, tt int)",
    "0005_view.sql": "-- depends: 0003_index\nCREATE VIEW v AS SELECT 1 AS one",
    "0006_of_view.sql": 'CREATE VIEW "W" AS TABLE public.v',
    "0007_free.sql": "CREATE TABLE w2 (v_id int)",
}


def test_backfills_run_later_and_what_depends_on_them_is_held_back(
    conn: Connection, sql: Path, pgyoyo: Callable
) -> None:
    for name, text in FILES.items():
        (sql / name).write_text(text)
    (sql / "0001_fill.sql").unlink()
    result = pgyoyo("apply", "--backfills", "later")
    assert result.code == 0, result.err
    assert re.findall(r"applied (\w+)", result.out) == ["0001_make", "0004_free", "0007_free"]
    assert re.findall(r"held back: (.*)", result.out) == [
        "0002_fill  (a backfill)", "0003_index  (names t, which 0002_fill changes)", "0005_view  (depends on 0003_index)",
        "0006_of_view  (names v, which 0005_view changes)",
    ]  # fmt: skip
    assert "next: pgyoyo backfill run, then pgyoyo apply\n" in result.out
    assert one(conn, "SELECT count(*) FROM t WHERE b IS NULL") == 1
    again = pgyoyo("apply", "--backfills", "later")
    assert "nothing to do" in again.out
    result = pgyoyo("backfill", "run")
    assert (result.code, re.findall(r"applied (\w+)", result.out), result.err) == (0, ["0002_fill"], "")
    assert one(conn, "SELECT count(*) FROM t WHERE b IS NULL") == 0
    assert re.findall(r"applied (\w+)", pgyoyo("apply").out) == ["0003_index", "0005_view", "0006_of_view"]


def test_backfill_that_needs_what_is_pending_is_not_run(sql: Path, pgyoyo: Callable) -> None:
    (sql / "0000_make.sql").write_text("SELECT 1")
    (sql / "0001_fill.sql").write_text("-- depends: 0000_make\n" + BATCHED + UPDATE)
    result = pgyoyo("backfill", "run")
    assert result.code == 2
    assert (
        "0001_fill depends on 0000_make, which is pending; apply that first: pgyoyo apply --backfills later"
        in result.err
    )


def test_watch_shows_changes_until_nothing_is_pending(
    sql: Path, pgyoyo: Callable, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sql / "0001_fill.sql").write_text("CREATE TABLE t ()")
    naps = []

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 2:
            apply(database, str(sql))

    monkeypatch.setattr("pgyoyo.cli.status.time.sleep", nap)
    result = pgyoyo("status", "--watch")
    assert result.code == 0, result.err
    assert result.out.count("pending  0001_fill") == 1
    assert result.out.endswith("1 applied, none pending.\n")
    assert pgyoyo("status", "--watch", "--format", "json").code == 2
