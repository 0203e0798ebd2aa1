"""prove, review and schema run files as the target would: with its search_path and its settings."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

import staging
from pgyoyo.scratch import databases, defaults

FILES = {
    "0001_a": ("CREATE TABLE a (at timestamptz DEFAULT '2026-01-01 00:00');", "DROP TABLE {s}.a;"),
    "0002_b": ("ALTER TABLE {s}.a ADD COLUMN b integer;", "ALTER TABLE a DROP COLUMN b;"),
}
CREATED = "DO $$ BEGIN EXECUTE 'CREATE SCH' || 'EMA {s}'; END $$;"


@pytest.fixture
def project(run_here, tmp_path: Path, database: str, server_conninfo: str) -> Callable[..., str]:
    """Runs a command on the files for the database, which the environment names; what it prints."""

    def project(*words: str) -> str:
        env = {"DATABASE_URL": database}
        done = run_here(*words, "--migrations", tmp_path / "sql", "--scratch", server_conninfo, env=env)
        assert done.code == 0, done.err + done.out
        return done.out + done.err

    return project


def like(conn: psycopg.Connection, schema: str) -> str:
    """Has the database begin with that schema in its search_path, and another time zone; the schema's name as SQL."""
    quoted = schema if schema.islower() else sql.Identifier(schema).as_string(conn)
    conn.execute(f"CREATE SCHEMA {quoted}".encode())
    conn.execute(f"ALTER DATABASE {conn.info.dbname} SET search_path = {quoted}, public".encode())
    databases.store(conn, conn.info.dbname, "timezone", "Asia/Tokyo", role=conn.info.user)
    return quoted


@pytest.mark.parametrize(("schema", "creates"), [("My app", False), ("app", True)])
def test_files_run_in_the_schema_and_the_zone_of_the_target(
    project, conn: psycopg.Connection, tmp_path: Path, schema: str, creates: bool
) -> None:
    quoted = like(conn, schema)
    files = {name: tuple(text.format(s=quoted) for text in pair) for name, pair in FILES.items()}
    if creates:
        # Only on the server it shows that it creates what the path names.
        files = {"0000_s": (CREATED.format(s=quoted), f"DROP SCHEMA {quoted};")} | files
    staging.write(tmp_path / "sql", files)
    assert f"{len(files)} proved" in project("prove")
    table = f"{quoted}.a"
    assert f'"{table.replace(chr(34), chr(92) + chr(34))}"' in project("review", "--format", "json")
    project("schema", "--output", str(tmp_path))
    written = (tmp_path / "schema.sql").read_text()
    assert f"CREATE TABLE {table} (" in written
    assert "2025-12-31 15:00:00+00" in written


def test_settings_that_a_migration_changes_hold_from_there_on_and_not_once_it_is_undone(
    project, conn: psycopg.Connection, tmp_path: Path
) -> None:
    like(conn, "app")
    alter = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I {}', current_database()); END $$;"
    check = "DO $$ BEGIN ASSERT current_schema() = '%s'; END $$;"
    staging.write(tmp_path / "sql", {
        "0001_a": ("CREATE SCHEMA other;", "DROP SCHEMA other;"),
        "0002_b": (alter.format("SET search_path = other"), alter.format("RESET search_path")),
        "0003_c": (check % "app", check % "app"),
    })  # fmt: skip
    assert "3 proved" in project("prove")


def test_target_that_cannot_be_reached_is_noted(run_here, tmp_path: Path, server_conninfo: str) -> None:
    staging.write(tmp_path / "sql", FILES | {"0001_a": ("CREATE TABLE a ();", "DROP TABLE a;")})
    staging.write(tmp_path / "sql", {"0002_b": ("SELECT 1;", "SELECT 1;")})
    env = {"DATABASE_URL": "postgresql://u:secret@127.0.0.1:1/d"}
    done = run_here("prove", "--migrations", tmp_path / "sql", "--scratch", server_conninfo, env=env)
    assert done.code == 0, done.err
    assert (
        "the settings of the scratch server are taken: cannot connect to postgresql://u:***@127.0.0.1:1/d: " in done.err
    )
    assert "secret" not in done.err


def test_setting_that_the_server_does_not_take_is_not_taken_back_either(conn: psycopg.Connection) -> None:
    settings = defaults.Defaults(later={"0001_a": {"no_such_setting": "1", "timezone": "Asia/Tokyo"}})
    kept = "SELECT setconfig FROM pg_db_role_setting JOIN pg_database AS d ON d.oid = setdatabase WHERE datname = %s"
    for operation, count in (("apply", 1), ("rollback", 0)):
        settings.set_after(conn, "0001_a", operation)
        assert len(conn.execute(kept, [conn.info.dbname]).fetchall()) == count


def test_only_the_schema_that_a_migration_creates_gives_way(project, conn: psycopg.Connection, tmp_path: Path) -> None:
    conn.execute("CREATE SCHEMA app; CREATE SCHEMA ext")
    conn.execute(f"ALTER DATABASE {conn.info.dbname} SET search_path = ext, app, public".encode())
    staging.write(tmp_path / "sql", {"0001_s": (CREATED.format(s="app"), "DROP SCHEMA app;")})
    shown = project("schema", "--output", str(tmp_path))
    assert "schema ext was created empty" in shown
    assert "schema app was created empty" not in shown
