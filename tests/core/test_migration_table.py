"""A ledger of another name, yoyo's migration_table: every command finds it, ours stands beside it, yoyo agrees."""

import json
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo
from yoyo import read_migrations

import pgyoyo
from pgyoyo.engine.connection import Target, check_table, connect
from pgyoyo.errors import UsageError
from pgyoyo.yoyo_backend import Backend


@pytest.mark.parametrize("name", ["migrations_applied", "Ops.Ledger", "_yoyo_migrations"])
def test_every_command_works_with_a_ledger_of_another_name(
    name: str, database: str, conn: psycopg.Connection, tmp_path: Path, run_here, server_conninfo: str
) -> None:
    m = tmp_path / "m"
    m.mkdir()
    (m / "0001_a.sql").write_text("CREATE TABLE a (i int);")
    (m / "0001_a.rollback.sql").write_text("DROP TABLE a;")
    (m / "0002_b.sql").write_text("-- transactional: false\nCREATE INDEX CONCURRENTLY b ON a (i);")
    (m / "0002_b.rollback.sql").write_text("-- transactional: false\nDROP INDEX CONCURRENTLY b;")
    (tmp_path / "yoyo.ini").write_text(f"[DEFAULT]\nsources = m\nmigration_table = {name}\n")

    def does(*words: str) -> str:
        done = run_here(*words, "--database", database, cwd=tmp_path)
        assert done.code == 0, done.err
        return done.out

    assert "2 applied" in does("apply")
    assert pgyoyo.pending(database, m, migration_table=name) == ()
    (tmp_path / "yoyo.ini").write_text("[DEFAULT]\nsources = m\n")
    refused = run_here("apply", "--database", database, cwd=tmp_path)
    words = f'of these migrations as applied; nothing was run. Name it first: migration_table = "{name}"'
    assert (refused.code, words in refused.err) == (4, True), refused.err
    assert f'2 pending; next: migration_table = "{name}" under' in does("status")
    seen = run_here("doctor", "--database", database, cwd=tmp_path)
    assert (seen.code, f'of another name; write migration_table = "{name}"' in seen.out) == (1, True)
    (tmp_path / "yoyo.ini").write_text(f"[DEFAULT]\nsources = m\nmigration_table = {name}\n")
    rows = sql.SQL("SELECT migration_id FROM {} ORDER BY 1").format(sql.Identifier(name))
    assert conn.execute(rows).fetchall() == [("0001_a",), ("0002_b",)]
    assert conn.execute("SELECT to_regclass('_yoyo_migration'), count(*) FROM _pgyoyo_migration").fetchall() == [
        (None, 2)
    ]
    assert "none pending" in does("status")
    assert "files, ledger and catalog agree" in does("verify", "--scratch", server_conninfo)
    assert set(json.loads(does("sizes"))["tables"]) == {"public.a"}
    assert "in schema public: 2 applied, none pending" in does("doctor")
    does("import", "database", "--migrations", "first")
    first = (tmp_path / "first" / "0001_initial_schema.sql").read_text()
    assert ("CREATE TABLE public.a " in first, name in first) == (True, False)
    does("rollback", "--yes")
    does("unmark", "0001_a")
    does("mark", "0001_a")
    assert "CREATE TABLE IF NOT EXISTS" not in does("apply", "--dry-run")
    assert conn.execute(rows).fetchall() == [("0001_a",)]
    # By yoyo's own backend class and ours, the same row.
    with Backend(connect(Target(make_conninfo(database), name))) as backend:
        assert [migration.id for migration in backend.to_apply(read_migrations(str(m)))] == ["0002_b"]


@pytest.mark.parametrize("name", ["", "a'b", 'a"b', "a\\b", "%s", "{schema}", "x" * 64, "ä" * 32])
def test_name_that_can_be_no_table_of_yoyos_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="migration_table is"):
        check_table(name)


def test_table_that_could_run_a_strangers_code_is_not_looked_into(
    database: str, conn: psycopg.Connection, tmp_path: Path, run_here
) -> None:
    (tmp_path / "0001_a.sql").write_text("CREATE TABLE a ();")
    conn.execute("CREATE TABLE t (migration_hash varchar, migration_id varchar, applied_at_utc timestamp)")
    conn.execute("INSERT INTO t VALUES (encode(sha256('0001_a'), 'hex'), '0001_a', now())")
    options = ("--database", database, "--migrations", tmp_path)
    assert run_here("apply", *options).code == 4
    conn.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    assert run_here("status", *options).out.endswith("if these migrations made them; else pgyoyo apply\n")
