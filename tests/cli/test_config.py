"""The settings of a command."""

from pathlib import Path

import pytest

from pgyoyo import settings
from pgyoyo.cli import context
from pgyoyo.server import installs


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


@pytest.mark.parametrize(
    ("target", "here", "nearest"),
    [
        (14, {14, 16, 18}, 14),
        (14, {16, 18}, 16),
        (15, set(), 16),
        (16, {16, 18}, 16),
        (17, {16, 18}, 18),
        (17, {17}, 17),
    ],
)
def test_scratch_server_is_of_the_target_s_version_where_that_is_here(
    target: int, here: set[int], nearest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installs, "is_here", here.__contains__)
    assert context._nearest(target) == nearest
