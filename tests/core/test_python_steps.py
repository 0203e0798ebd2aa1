"""Steps that only Python can run, on our backend by yoyo: all or nothing with their row, as every other migration."""

from pathlib import Path

import psycopg
import pytest
from psycopg import errors
from yoyo import read_migrations

from pgyoyo.yoyo_backend import Backend

FUNCTION = """\
from yoyo import step


def fill(conn):
    conn.cursor().execute("INSERT INTO a VALUES (1)")


def empty(conn):
    conn.cursor().execute("DELETE FROM a")


step("CREATE TABLE a (i int)", "DROP TABLE a")
step(fill, empty)
step("SELECT nope", "SELECT nope", ignore_errors="all")
"""


def test_function_steps_and_their_row_commit_together(conn: psycopg.Connection, tmp_path: Path) -> None:
    (tmp_path / "0001_a.py").write_text(FUNCTION)
    (tmp_path / "0002_b.py").write_text(FUNCTION.replace("TABLE a", "TABLE b") + 'step("SELECT 1/0", "SELECT 1")\n')
    backend = Backend(conn)
    first, second = read_migrations(str(tmp_path))
    with backend.lock():
        backend.apply_one(first)
        with pytest.raises(errors.DivisionByZero):
            backend.apply_one(second)
        assert conn.execute("SELECT i, to_regclass('b'), migration_id FROM a, _yoyo_migration").fetchall() == [
            (1, None, "0001_a")
        ]
        backend.rollback_one(first)
    assert conn.execute("SELECT to_regclass('a'), count(*) FROM _yoyo_migration").fetchall() == [(None, 0)]
    assert [row[0] for row in conn.execute("SELECT operation FROM _yoyo_log ORDER BY created_at_utc")] == [
        "apply", "rollback",
    ]  # fmt: skip


def test_steps_outside_a_transaction_are_recorded_behind_themselves(conn: psycopg.Connection, tmp_path: Path) -> None:
    text = FUNCTION.replace("SELECT nope", "CREATE INDEX CONCURRENTLY i ON a (i)").replace(', ignore_errors="all"', "")
    (tmp_path / "0001_a.py").write_text(f"__transactional__ = False\n{text}")
    backend = Backend(conn)
    [migration] = read_migrations(str(tmp_path))
    with backend.lock():
        backend.apply_one(migration)
    assert conn.execute("SELECT to_regclass('i')::text, migration_id FROM _yoyo_migration").fetchall() == [
        ("i", "0001_a")
    ]
