"""When a session makes way for a new one: what a file's text may mean for it, and what a language remembers of it."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

import staging
from pgyoyo.console import Console
from pgyoyo.engine.message import RESET
from pgyoyo.engine.renewal import Renewal
from pgyoyo.migrations import reader
from pgyoyo.migrations.migration import File
from pgyoyo.prove.prover import prove
from staging import Files


def file(folder: Path, text: str) -> File:
    (folder / "0001_a.sql").write_text(text)
    return reader.read([str(folder)]).migrations[0].apply


CHANGES_TYPES = [
    "ALTER TABLE t ALTER at TYPE timestamptz", "ALTER TABLE t\n  ALTER COLUMN at SET DATA TYPE text", "ALTER TABLE t DROP at",
    "alter table t drop column at, add at date", "DROP VIEW v", "DROP TABLE t", "DROP FUNCTION f()", "DROP SCHEMA s CASCADE",
    "ALTER TYPE p ALTER ATTRIBUTE a TYPE text", "ALTER TABLE a RENAME TO b", "ALTER TABLE t RENAME c TO d",
    "ALTER TABLE t SET SCHEMA s", "DO $$ BEGIN EXECUTE 'DROP TABLE t'; END $$",
]  # fmt: skip
CHANGES_NONE = [
    "CREATE TABLE t (type text)", "ALTER TABLE t ADD c integer", "ALTER TABLE t DROP CONSTRAINT c", "DROP INDEX i",
    "ALTER TABLE t ALTER c DROP DEFAULT", "ALTER TABLE t ALTER c DROP NOT NULL", "DROP TRIGGER t ON t", "DROP POLICY p ON t",
    "COMMENT ON COLUMN t.type IS 'alternative, dropped'", "INSERT INTO t VALUES (1)",
]  # fmt: skip


@pytest.mark.parametrize(("text", "needed"), [*((t, True) for t in CHANGES_TYPES), *((t, False) for t in CHANGES_NONE)])
def test_session_is_replaced_where_types_may_change_and_a_function_may_remember_them(
    text: str, needed: bool, conn: psycopg.Connection, tmp_path: Path
) -> None:
    changed = file(tmp_path, text)
    assert changed.needs_new_session == needed
    renewal = Renewal()
    assert not renewal.is_needed(conn, changed)  # there is no function yet
    conn.execute("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'")
    assert not renewal.is_needed(conn, file(tmp_path, "SELECT 1"))
    assert not renewal.is_needed(conn, file(tmp_path, "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql …"))
    assert renewal.is_needed(conn, changed) == needed


@pytest.mark.parametrize("what", ["ROLE r", "user CURRENT_USER", "DATABASE d"])
def test_session_is_replaced_after_its_defaults_change(what: str, conn: psycopg.Connection, tmp_path: Path) -> None:
    changed = file(tmp_path, f"ALTER {what} SET search_path = a")
    assert changed.may_change_defaults
    assert Renewal().is_needed(conn, changed)


def test_reset_leaves_no_plan(conn: psycopg.Connection) -> None:
    """A plan is told by the constant that it was made with."""
    conn.execute(
        "CREATE TABLE v AS SELECT 1 AS x;"
        "CREATE FUNCTION k() RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT x FROM v); END';"
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN k(); END'"
    )
    for text, expected in (("SELECT", 1), ("UPDATE v SET x = 2", 1), ("; ".join(["BEGIN", *RESET, "COMMIT"]), 2)):
        conn.execute(text.encode())
        assert conn.execute("SELECT f()").fetchone() == (expected,)


TRIGGER = (
    "CREATE TABLE t (at timestamp, n int);\n"
    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS\n"
    "$$ BEGIN NEW.n := extract(day FROM NEW.at); RETURN NEW; END $$;\n"
    "CREATE TRIGGER t BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f();\n"
    "INSERT INTO t VALUES ('2026-01-02');"
)
VIEW = (
    "CREATE VIEW v AS SELECT 1 AS c;\n"
    "CREATE FUNCTION g() RETURNS text LANGUAGE plpgsql AS\n"
    "$$ DECLARE r record; BEGIN SELECT * INTO r FROM v; RETURN r.c + 1; END $$;\n"
    "SELECT g();"
)
HISTORIES: dict[str, Files] = {
    "column": {
        "0001_t": (TRIGGER, "-- lossy: x\nDROP TABLE t; DROP FUNCTION f;"),
        "0002_t": ("ALTER TABLE t ALTER at TYPE timestamptz;", "ALTER TABLE t ALTER at TYPE timestamp;"),
        "0003_t": ("INSERT INTO t (at) VALUES ('2026-01-03');", "DELETE FROM t WHERE n = 3;"),
    },
    "view": {
        "0001_v": (VIEW, "DROP FUNCTION g; DROP VIEW v;"),
        "0002_v": (
            "DROP VIEW v;\nCREATE VIEW v AS SELECT 2::numeric AS c;", "DROP VIEW v;\nCREATE VIEW v AS SELECT 1 AS c;",
        ),
        "0003_v": ("SELECT g();", "SELECT g();"),
    },
}  # fmt: skip


@pytest.mark.parametrize("history", HISTORIES)
def test_functions_see_the_types_of_now_in_every_way_to_run_files(
    history: str, database: str, admin: psycopg.Connection, tmp_path: Path, run_here: Callable
) -> None:
    staging.write(tmp_path, HISTORIES[history])
    options = ("--database", database, "--migrations", tmp_path)
    for words in (["apply"], ["redo", "--count", "2"], ["rollback", "--all", "--yes"], ["apply"]):
        done = run_here(*words, *options)
        assert done.code == 0, done.err
    folders = reader.read([str(tmp_path)])
    proofs = list(prove(admin, folders, Console(quiet=True)))
    assert {proof.id: proof.findings for proof in proofs if proof.failures} == {}
    review = run_here("review", "--data", "/dev/null", *options, "--scratch", admin.info.dsn, "--fail-on", "never")
    assert "type of parameter" not in review.out + review.err
