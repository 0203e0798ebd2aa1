"""A backfill yields to the server's own work, and to who keeps its dead rows; its batches get shorter while others wait."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import Connection

from filling import RIGHT, folder, make, one
from pgyoyo.backfill import throttle
from pgyoyo.backfill.pacing import Cursor, Limits, Pace
from pgyoyo.backfill.servers_work import Autovacuums, Checkpoints
from pgyoyo.backfill.throttle import Throttle
from pgyoyo.cli.main import main  # noqa: F401 - the entry point that run_here calls


@pytest.fixture
def apply(run_here: Callable, database: str, tmp_path: Path) -> Callable:
    sql = folder(tmp_path)

    def apply(*args: str):
        return run_here("apply", "--database", database, "--migrations", "sql", *args, cwd=sql.parent)

    return apply


def test_transaction_that_keeps_dead_rows_is_waited_for_once_the_table_grew(
    conn: Connection, database: str, apply: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(conn)
    monkeypatch.setattr(throttle, "_OLD", -1.0)
    monkeypatch.setattr(throttle, "_EVERY", 0.0)
    with psycopg.connect(database, application_name="report") as report:
        report.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        report.execute("SELECT FROM t")
        result = apply("--give-up-after", "0")
        assert result.code == 1, result.err
        assert " (report) has had a transaction open for " in result.err
        assert "s, and the table grew by " in result.err
        assert "gave up waiting: " in result.err
    result = apply()
    assert result.code == 0, result.err
    assert one(conn, RIGHT) == 0


ANSWERS: dict[str, list[Any]] = {
    "checkpoints": [],
    "checkpoints_before_17": [],
    "oldest": [],
    "replicas": [],
    "kept": [],
}


@pytest.mark.parametrize("wraparound", [True, False])
def test_autovacuum_of_the_table_is_waited_for_or_rested_for(
    wraparound: bool, conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {**ANSWERS, "autovacuum": [(4711, wraparound)]}
    monkeypatch.setattr(Throttle, "_ask", lambda self, query, **values: answers[query])
    said: list[str] = []
    looks = Throttle(conn, Limits(), said.append)
    assert (looks.reason(), looks.rest) == ("", 0.0)  # no table yet
    looks.table = 1
    looks._next = 0.0
    reason = looks.reason()
    assert ("to prevent wraparound" in reason) is wraparound
    line = "pid 4711, an autovacuum, is at work on the table; batches rest as long as they take"
    assert said == ([] if wraparound else [line])
    assert looks.rest == 1.0
    answers["autovacuum"] = []
    looks._next = 0.0
    assert (looks.reason(), looks.rest) == ("", 0.0)


def test_queries_of_the_server_s_work_run_and_see_nothing_on_a_quiet_table(conn: Connection) -> None:
    make(conn, 10)
    looks = Throttle(conn, Limits(), lambda _: None, table=int(str(one(conn, "SELECT 't'::regclass::oid::int8"))))
    assert looks._ask("autovacuum", oid=looks.table) == []
    assert looks._server() == ""
    name = "checkpoints" if conn.info.server_version >= 170000 else "checkpoints_before_17"
    [(requested, timeout)] = looks._ask(name)
    assert requested >= 0
    assert timeout > 0


def test_batches_rest_while_checkpoints_are_requested_too_soon() -> None:
    seen = Checkpoints()
    assert [seen.see(5, 300, now) for now in (0, 10)] == ["", ""]
    assert seen.see(6, 300, 20) == ""
    assert "requested 40 s apart, sooner than checkpoint_timeout (300 s)" in seen.see(7, 300, 60)
    assert seen.rest == 1.0
    for count, now in ((8, 100), (9, 140), (10, 180)):
        seen.see(count, 300, now)
    assert seen.rest == 3.0
    assert "rest no longer" in seen.see(10, 300, 500)
    assert seen.rest == 0.0
    assert [seen.see(11, 300, 600), seen.see(12, 300, 1000)] == ["", ""]


def test_an_autovacuum_is_rested_for_no_longer_than_a_minute() -> None:
    seen = Autovacuums()
    assert [seen.see(7, 0.0), seen.see(7, 10.0), seen.rest] == [True, False, 1.0]
    assert [seen.see(7, 61.0), seen.rest] == [False, 0.0]
    assert [seen.see(8, 62.0), seen.rest] == [True, 1.0]


def test_batches_get_shorter_at_once_where_others_wait_and_longer_slowly() -> None:
    pace = Pace(0.08, 10, 1)
    cursor = Cursor(0, 100_000, 0, 0)
    for _ in range(20):
        upto = pace.upto(cursor)
        pace.learn(cursor, upto, 10 * (upto - cursor.page), 1e-5 * (upto - cursor.page))
    usual = pace.upto(cursor)
    for _ in range(3):
        upto = pace.upto(cursor)
        pace.learn(cursor, upto, 10 * upto, 1e-5 * upto, waited=0.06)
    assert pace.upto(cursor) < usual / 2
    for _ in range(60):
        upto = pace.upto(cursor)
        pace.learn(cursor, upto, 10 * upto, 1e-5 * upto)
    assert pace.upto(cursor) >= 0.9 * usual
