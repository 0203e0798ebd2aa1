"""pgyoyo server: client programs on the database, and its URL for programs that need a port."""

from pathlib import Path

import psycopg
import pytest

from pgyoyo.cli import server
from pgyoyo.server.postgres import EmbeddedServer


def test_dump_is_restored_by_the_same_word(conn: psycopg.Connection, database: str, tmp_path: Path, run) -> None:
    """Further options are the program's own, also where they look like pgyoyo's."""
    conn.execute("CREATE TABLE t (i int); INSERT INTO t VALUES (1)")
    file = tmp_path / "a.dump"
    done = run("server", "pg_dump", "--database", database, "--format=custom", "-v", "--file", file)
    assert (done.code, done.out) == (0, "")
    conn.execute("DROP TABLE t")
    # That of PostgreSQL 18 sets a parameter that servers before 17 don't know, and restores all the same.
    code = 0 if conn.info.server_version >= 170000 else 1
    assert run("server", "pg_restore", "--database", database, file).code == code
    assert conn.execute("TABLE t").fetchall() == [(1,)]
    again = run("server", "pg_restore", "--database", database, "--exit-on-error", file)
    assert (again.code, "error" in again.err) == (1, True)


def test_stop_ends_the_server_for_scratch_databases_too(
    run_here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.pgyoyo]\ndatabase = 'embedded'\n")
    assert run_here("server", "stop").out == "PostgreSQL was not running\n"
    for place in (".postgres/18", ".postgres/16", ".postgres/scratch/18", ".postgres/tests/18"):
        (tmp_path / place / "data").mkdir(parents=True)
    monkeypatch.setattr(EmbeddedServer, "stop", lambda self: self.version == 18)
    assert run_here("server", "stop").out == "stopped PostgreSQL 18\nstopped PostgreSQL 18 for scratch databases\n"
    assert run_here("server", "stop", "--tests").out == "stopped PostgreSQL 18\n"


def test_url_with_a_port_is_that_of_the_project_s_database(
    run_here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.pgyoyo]\ndatabase = 'embedded'\n")
    calls: list[object] = []
    monkeypatch.setattr(EmbeddedServer, "ensure_running", lambda *_: calls.append("running"))
    monkeypatch.setattr(EmbeddedServer, "ensure_database", lambda _, name: calls.append(name))
    monkeypatch.setattr(
        server.tcp, "url", lambda own, name, _: f"postgresql://postgres:p@127.0.0.1:5/{name}?{own.folder}"
    )
    result = run_here("server", "url", "--tcp")
    assert result.code == 0, result.err
    assert result.out.startswith(f"postgresql://postgres:p@127.0.0.1:5/{calls[1]}?{tmp_path}")
    assert calls[0] == "running"
    refused = run_here("server", "url", "--tcp", "--database", "postgresql://u:pw@host/d")
    assert (refused.code, refused.out) == (2, "")
    assert "--database names a server of your own" in refused.err
