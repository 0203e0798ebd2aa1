"""Errors of the server outside of a migration: in its words, with what to do, and never a traceback."""

import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgyoyo.cli import server_errors


@pytest.fixture
def hurried(server_conninfo: str) -> Iterator[str]:
    """The conninfo of a role that may do anything, in one millisecond."""
    name = f"hurried_{os.getpid()}"
    with psycopg.connect(server_conninfo, autocommit=True) as admin:
        role = sql.Identifier(name)
        admin.execute(sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD 'secret-of-hurried'").format(role))
        admin.execute(sql.SQL("ALTER ROLE {} SET statement_timeout = '1ms'").format(role))
        yield make_conninfo(server_conninfo, user=name, password="secret-of-hurried")
        admin.execute(sql.SQL("DROP ROLE {}").format(role))


@pytest.mark.parametrize("command", ["schema", "prove", "verify"])
def test_timeout_of_the_scratch_role_is_an_error_with_what_to_do(
    command: str, hurried: str, database: str, tmp_path: Path, run_here, secrets: set[str]
) -> None:
    secrets.add("secret-of-hurried")
    (tmp_path / "0001_a.sql").write_text("CREATE TABLE a ();")
    (tmp_path / "0001_a.rollback.sql").write_text("DROP TABLE a;")
    options = {"schema": ["--output", tmp_path / "out"], "verify": ["--database", database]}.get(command, [])
    result = run_here(command, "--migrations", tmp_path, "--scratch", hurried, *options)
    assert result.code == 1
    lines = result.err.splitlines()
    assert lines[0] == "error: the server refused a statement of pgyoyo's own:"
    # The server sends itself SIGINT when the time is up; where the signal comes after that statement's end, the
    # next one is cancelled, "due to user request".
    assert any(
        line.startswith("ERROR: canceling statement due to") and line.endswith("(SQLSTATE 57014)") for line in lines
    )
    assert "ALTER ROLE … SET statement_timeout = 0" in lines[-1]
    assert lines[-1].endswith("`pgyoyo status` shows what is applied.")


def test_each_kind_of_error_says_what_to_do_next(conn: psycopg.Connection) -> None:
    advice = {
        "57014": "statement_timeout",
        "55P03": "run again",
        "42501": "Grant the privilege",
        "25006": "accepts writes",
        "53100": "server's log",
        "57P01": "server's log",
        "22012": "`pgyoyo status` shows what is applied.",
    }
    for state, words in advice.items():
        with pytest.raises(psycopg.Error) as caught:
            conn.execute(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{state}', HINT = 'a hint'; END $$")
        text = server_errors.explain(caught.value)
        assert f"ERROR: no (SQLSTATE {state})\nHINT: a hint\n" in text
        assert words in text.splitlines()[-1]
    assert server_errors.explain(psycopg.OperationalError("server closed the connection")).startswith(
        "the connection was lost:\nserver closed the connection\n"
    )
