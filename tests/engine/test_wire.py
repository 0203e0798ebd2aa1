"""What is kept of what the server sends: no more than is shown, however much it is."""

import psycopg
import pytest
from psycopg import pq

from pgyoyo.engine import wire

MANY = 100_000


class Counting:
    """Counts the results that libpq hands over, and the most rows in one."""

    def __init__(self, pgconn: pq.abc.PGconn) -> None:
        self._pgconn = pgconn
        self.most = self.rows = 0

    def __getattr__(self, name: str):
        return getattr(self._pgconn, name)

    def __setattr__(self, name: str, value) -> None:
        if name in ("_pgconn", "most", "rows"):
            object.__setattr__(self, name, value)
        else:
            setattr(self._pgconn, name, value)

    def get_result(self):
        result = self._pgconn.get_result()
        if result is not None:
            self.most, self.rows = max(self.most, result.ntuples), self.rows + result.ntuples
        return result


@pytest.mark.parametrize("chunks", [True, False])
def test_of_many_rows_only_those_that_are_shown_are_ever_in_memory(
    conn: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, chunks: bool
) -> None:
    if not chunks:
        monkeypatch.setattr(pq, "version", lambda: 160000)
    elif pq.version() < 170000:
        pytest.skip("libpq hands over chunks from 17 on")
    monkeypatch.setattr(conn, "pgconn", counting := Counting(conn.pgconn))
    text = f"SELECT n, 'x' AS x FROM generate_series(1, {MANY}) n; SELECT 1 WHERE false; SELECT 2 AS two"
    reply = wire.send(conn, text.encode())
    assert (reply.error, reply.results) == (None, 3)
    [many, two] = reply.tables
    assert (many.names, many.total, len(many.rows)) == (("n", "x"), MANY, wire.KEPT_ROWS)
    assert [row[0] for row in many.rows] == [str(n) for n in range(1, wire.KEPT_ROWS + 1)]
    assert two == (("two",), (("2",),), 1)
    assert counting.rows == MANY + 1
    assert counting.most <= wire.KEPT_ROWS


def test_rows_of_our_own_statements_are_not_kept(conn: psycopg.Connection) -> None:
    reply = wire.send(conn, b"SELECT 1; SELECT 2; SELECT 3", skip=2)
    assert [table.rows for table in reply.tables] == [(("3",),)]


def test_of_many_notices_and_results_the_first_are_kept_and_the_others_counted(conn: psycopg.Connection) -> None:
    code = "DO $$ BEGIN FOR n IN 1..1000 LOOP RAISE NOTICE 'no. %', n; END LOOP; END $$;"
    reply = wire.send(conn, (code + "SELECT 1;" * 250).encode())
    assert (len(reply.notices), reply.more_notices) == (100, 900)
    assert (len(reply.tables), reply.more_tables) == (100, 150)
    assert reply.notices[:2] == ["NOTICE: no. 1", "NOTICE: no. 2"]
    outcome = wire.Outcome()
    for _ in range(2):
        outcome.add(reply)
    assert (len(outcome.notices), outcome.more_notices, len(outcome.tables), outcome.more_tables) == (
        100, 1900, 100, 400,
    )  # fmt: skip


@pytest.mark.parametrize("count", [0, 1, 20, 21])
def test_rows_that_the_last_change_made_are_counted_whatever_is_selected(count: int, conn: psycopg.Connection) -> None:
    change = f"CREATE TEMP TABLE t (n int); INSERT INTO t SELECT generate_series(1, {count})"
    for query in ("", "; SELECT 1", "; SELECT generate_series(1, 50)"):
        assert wire.send(conn, f"{change}{query}".encode()).rows == count
        assert wire.send(conn, f"DELETE FROM t{query}; DROP TABLE t".encode()).rows == 0


def test_error_in_the_middle_of_the_rows_is_the_error(conn: psycopg.Connection) -> None:
    reply = wire.send(conn, b"SELECT 0; SELECT 1 / (500 - n) FROM generate_series(1, 1000) n; SELECT 2")
    assert isinstance(reply.error, psycopg.errors.DivisionByZero)
    assert reply.results == 1
    assert conn.execute("SELECT 1").fetchone() == (1,)


def test_text_without_a_statement_counts_as_none(conn: psycopg.Connection) -> None:
    assert wire.send(conn, b"-- nothing\n;;").results == 0


def test_what_was_left_out_is_said(conn, run_here, database, tmp_path) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql/0001_a.sql").write_text(
        f"SELECT generate_series(1, {MANY}) AS n;\n"
        "DO $$ BEGIN FOR n IN 1..1000 LOOP RAISE NOTICE 'no. %', n; END LOOP; END $$;" + "SELECT 1;" * 200
    )
    done = run_here("apply", "--database", database, "--migrations", tmp_path / "sql")
    assert done.code == 0
    for words in ("    … and 99980 more rows\n", "    … and 900 more notices\n", "    … and 101 more results\n"):
        assert words in done.out
    assert len(done.out.splitlines()) < 600


def test_rows_of_a_copy_that_come_slowly_are_waited_for(conn: psycopg.Connection) -> None:
    ticks: list[float] = []
    text = b"COPY (SELECT g, pg_sleep(0.06) FROM generate_series(1, 3) AS g) TO STDOUT; COPY (SELECT 1) TO STDOUT; SELECT 1"
    reply = wire.send(conn, text, tick=ticks.append)
    assert (reply.results, reply.error) == (3, None)
    assert ticks, "meanwhile it can be seen who waits, and interrupted"
