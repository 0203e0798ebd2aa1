"""A table to be filled by a backfill, runners of it in processes of their own, and looks at what they do."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import Connection

from running import Run, Runners

ROWS = 4000
BATCHED = "-- backfill: batched\n"
UPDATE = "UPDATE t SET b = a WHERE b IS NULL;\n"
# About fifteen rows in a page, so that few rows make more pages than are done at once.
TABLE = """
CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, b int, other timestamptz NOT NULL DEFAULT '2020-01-01', pad text);
INSERT INTO t SELECT i, i * 3, CASE WHEN i % 7 = 0 THEN -i END, '2020-01-01', repeat('x', 400)
FROM generate_series(1, {rows}) i
"""
RIGHT = (
    "SELECT count(*) FROM t WHERE b IS DISTINCT FROM CASE WHEN id % 7 = 0 THEN -id ELSE a END OR other <> '2020-01-01'"
)
FIRES = """
CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$;
CREATE TRIGGER fired BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION fires()
"""
# Of this database: other tests have locks in others of the same server.
HELD = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
SLOW = ("--pause", "4000%")


def make(conn: Connection, rows: int = ROWS) -> None:
    conn.execute(TABLE.format(rows=rows).encode())


def one(conn: Connection, query: str) -> object:
    row = conn.execute(query.encode()).fetchone()
    assert row
    return row[0]


@contextmanager
def running(runners: Runners, database: str, sql: Path, *options: str) -> Iterator[Run]:
    """A runner in a process of its own, once its first batch is done; killed at the end, if it still runs."""
    runner = runners.start("apply", "--database", database, "--migrations", sql, *options, cwd=sql.parent)
    try:
        with psycopg.connect(database, autocommit=True) as conn:
            until(lambda: one(conn, "SELECT count(*) FROM pg_class WHERE relname = '_pgyoyo_backfill'") == 1, runner)
            until(lambda: one(conn, "SELECT coalesce(max(rows), 0) FROM _pgyoyo_backfill") != 0, runner)
        yield runner
    finally:
        if runner.alive:
            runner.kill()
            runner.wait()


def lines(runner: Run) -> Iterator[str]:
    """The lines that it writes to stderr, as they come, until it ends."""
    shown = 0
    while True:
        ended, whole = not runner.alive, runner.err.splitlines(keepends=True)
        whole = whole if ended or not whole or whole[-1].endswith("\n") else whole[:-1]
        yield from whole[shown:]
        shown = len(whole)
        if ended:
            return
        time.sleep(0.01)


def until(condition: Callable[[], bool], runner: Run | None = None) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert runner is None or runner.alive, runner.err
        assert time.monotonic() < limit
        time.sleep(0.01)


def kill(runner: Run, conn: Connection) -> None:
    """Kills it, and waits until the server has seen that."""
    runner.kill()
    until(lambda: one(conn, HELD) == 0)


@contextmanager
def committed(holder: Connection, condition: Callable[[], bool]) -> Iterator[None]:
    """While the block runs, commits what a session holds as soon as the condition is true."""

    def commit() -> None:
        until(condition)
        holder.commit()

    thread = threading.Thread(target=commit)
    thread.start()
    yield
    thread.join()


def folder(place: Path) -> Path:
    """A folder of migrations with a backfill of t, below `place`."""
    made = place / "sql"
    made.mkdir()
    (made / "0001_fill.sql").write_text(BATCHED + UPDATE)
    return made
