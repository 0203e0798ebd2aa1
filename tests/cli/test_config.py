"""The settings of a command."""

from pathlib import Path

import pytest

from pgyoyo import settings


@pytest.mark.parametrize(
    "command", ["apply", "status", "rollback", "redo", "verify", "schema", "prove", "review", "new a_b"]
)
def test_command_loads_its_settings_once(
    command: str, tmp_path: Path, database: str, server_conninfo: str, run_here, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "0001_a.sql").write_text("CREATE TABLE a ();")
    (tmp_path / "sql" / "0001_a.rollback.sql").write_text("DROP TABLE a;")
    calls, load = [], settings.load
    monkeypatch.setattr(settings, "load", lambda **options: calls.append(options) or load(**options))
    options = ["--migrations", tmp_path / "sql"]
    options += ["--database", database] if command not in ("schema", "prove", "new a_b") else []
    options += ["--scratch", server_conninfo] if command in ("verify", "schema", "prove", "review") else []
    result = run_here(*command.split(), *options)
    assert result.code == 0, result.err
    assert len(calls) == 1
