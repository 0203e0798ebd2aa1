"""psql and its kin get everything through their environment."""

import os
from pathlib import Path

import pytest

from pgyoyo.errors import ServerError, UsageError
from pgyoyo.server import installs, psql
from pgyoyo.server.postgres import EmbeddedServer


@pytest.mark.parametrize("with_wheel", [True, False])
def test_psql_gets_the_whole_address_through_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, with_wheel: bool
) -> None:
    if not with_wheel:
        monkeypatch.setattr(installs, "WHEELS", {})
        monkeypatch.setattr(installs, "_SYSTEM", ())
        (tmp_path / "psql").touch(mode=0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
    seen: list = []
    monkeypatch.setattr(os, "execve", lambda *call: seen.extend(call))
    server = EmbeddedServer(tmp_path / "home")
    psql.psql("postgresql://ann:hunter2@host/cj?sslmode=require", ["-c", "SELECT 1"], server)
    program, command, env = seen
    assert Path(program) == (server.binary("psql") if with_wheel else tmp_path / "psql")
    assert command == ["psql", "-c", "SELECT 1"]
    given = {name: env[name] for name in ("PGUSER", "PGPASSWORD", "PGHOST", "PGDATABASE", "PGSSLMODE")}
    assert list(given.values()) == ["ann", "hunter2", "host", "cj", "require"]


def test_missing_psql_is_an_error_with_the_install_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installs, "WHEELS", {})
    monkeypatch.setattr(installs, "_SYSTEM", ())
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ServerError, match="there is no psql: install PostgreSQL's client"):
        psql.psql("dbname=cj", [], EmbeddedServer(tmp_path))


def test_option_without_a_variable_is_refused() -> None:
    with pytest.raises(UsageError, match="keepalives_idle"):
        psql.environment("host=a keepalives_idle=5", {})


@pytest.mark.parametrize(
    ("program", "arguments", "command"),
    [
        ("pg_dump", ["--schema-only"], ["pg_dump", "--schema-only"]),
        ("pg_restore", ["a.dump"], ["pg_restore", "--dbname", "cj", "a.dump"]),
        ("pg_restore", ["--list", "a.dump"], ["pg_restore", "--list", "a.dump"]),
        ("pg_restore", ["-fx.sql", "a.dump"], ["pg_restore", "-fx.sql", "a.dump"]),
        ("pg_restore", ["--dbname=b", "a.dump"], ["pg_restore", "--dbname=b", "a.dump"]),
    ],
)
def test_dump_and_restore_get_the_servers_own_version_and_database(
    program: str, arguments: list[str], command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list = []
    monkeypatch.setattr(os, "execve", lambda *call: seen.extend(call))
    server = EmbeddedServer(tmp_path / "home")
    psql.become(program, "postgresql://ann:hunter2@host/cj", arguments, server)
    assert seen[:2] == [str(server.binary(program)), command]
    assert "hunter2" not in str(seen[:2])
    assert seen[2]["PGPASSWORD"] == "hunter2"


@pytest.mark.parametrize("program", ["psql", "pg_dump", "pg_restore"])
def test_every_program_is_in_the_wheel(program: str, tmp_path: Path) -> None:
    assert os.access(EmbeddedServer(tmp_path).binary(program), os.X_OK)
