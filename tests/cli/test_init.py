"""A project that has nothing: settings, a folder, a pair that can be applied, a line for git; nothing is overwritten."""

import tomllib
from collections.abc import Callable
from pathlib import Path

from pgyoyo import environments
from pgyoyo.migrations import reader


def test_first_migration_is_applied_with_what_init_writes(tmp_path: Path, run_here: Callable, database: str) -> None:
    result = run_here("init")
    assert (result.code, result.out.splitlines()[:4]) == (
        0,
        [
            "wrote pgyoyo.toml",
            "wrote .gitignore",
            "wrote sql/migrations/0001_create_note.sql",
            "wrote sql/migrations/0001_create_note.rollback.sql",
        ],
    )
    [migration] = reader.read([str(tmp_path / "sql/migrations")]).migrations
    assert migration.rollback is not None
    assert (tmp_path / ".gitignore").read_text() == ".postgres/\n"
    assert run_here("apply", "--database", database).out.startswith("applied 0001_create_note")
    assert run_here("rollback", "--database", database).code == 0
    # pgyoyo.toml counts from a folder below, too.
    assert "no defect" in run_here("check", cwd=tmp_path / "sql").out


def test_project_that_keeps_migrations_elsewhere_is_told_what_to_write(tmp_path: Path, run_here: Callable) -> None:
    folder = tmp_path / "app" / "db" / "migrations"
    folder.mkdir(parents=True)
    (folder / "0001_a.py").write_text('from yoyo import step\nsteps = [step("SELECT 1")]\n')
    (tmp_path / "app" / "migrate.py").write_text("from yoyo import get_backend, read_migrations\n")
    (tmp_path / ".venv" / "m").mkdir(parents=True)
    (tmp_path / ".venv" / "m" / "0001_a.py").write_text("from yoyo import step\n")
    result = run_here("init")
    assert (result.code, '[tool.pgyoyo] with migrations = ["app/db/migrations"]' in result.err) == (2, True)
    assert not (tmp_path / "pgyoyo.toml").exists()
    shown = run_here("doctor").out
    assert 'with [tool.pgyoyo]; write it, with migrations = ["app/db/migrations"]' in shown
    assert "app/db/migrations holds migrations of yoyo's; pass --migrations app/db/migrations, or write" in shown
    (tmp_path / "app" / "yoyo.ini").write_text("[DEFAULT]\nsources = db/migrations\n")
    assert "app has a yoyo.ini; run pgyoyo in app" in run_here("doctor").out


def test_project_of_another_tool_gets_no_example_but_its_import(tmp_path: Path, run_here: Callable) -> None:
    folder = tmp_path / "db" / "migrations"
    folder.mkdir(parents=True)
    (folder / "20240101_a.sql").write_text("-- migrate:up\nCREATE TABLE a ();\n-- migrate:down\nDROP TABLE a;\n")
    shown = run_here("init").out
    assert shown.endswith("db/migrations looks like dbmate's; next: pgyoyo import dbmate db/migrations\n")
    assert not (tmp_path / "sql").exists()
    assert run_here("import", "dbmate", "db/migrations").code == 0
    assert sorted(path.name for path in (tmp_path / "sql" / "migrations").iterdir()) == [
        "20240101_a.rollback.sql", "20240101_a.sql"]  # fmt: skip


def test_environment_s_database_is_named_in_place_of_a_server_of_its_own(run_here: Callable) -> None:
    shown = run_here("init", env={"DATABASE_URL": "postgresql://h/d"}).out
    assert "applies the first migration to the database that the environment names" in shown


def test_settings_database_is_not_called_the_environment_s(tmp_path: Path, run_here: Callable) -> None:
    (tmp_path / "pgyoyo.toml").write_text('[tool.pgyoyo]\ndatabase = "postgresql://h/d"\n')
    assert "applies the first migration to the database of the settings or the environment" in run_here("init").out


def test_what_is_there_stays(tmp_path: Path, run_here: Callable) -> None:
    (tmp_path / "pyproject.toml").write_bytes(b'[project]\r\nname = "shop"')
    (tmp_path / ".gitignore").write_text("*.pyc")
    assert run_here("init").code == 0
    text = (tmp_path / "pyproject.toml").read_bytes()
    assert text.startswith(b'[project]\r\nname = "shop"\r\n\r\n[tool.pgyoyo]\r\n')
    assert tomllib.loads(text.decode())["tool"]["pgyoyo"]["database"] == "embedded"
    assert (tmp_path / ".gitignore").read_text() == "*.pyc\n.postgres/\n"
    again = run_here("init")
    assert "pyproject.toml has [tool.pgyoyo] already, so it stays as it is" in again.out
    assert "sql/migrations holds migrations already, so it stays as it is" in again.out
    assert (tmp_path / "pyproject.toml").read_bytes() == text


def test_broken_pyproject_and_yoyo_ini_are_named(tmp_path: Path, run_here: Callable) -> None:
    (tmp_path / "pyproject.toml").write_text("[project")
    result = run_here("init")
    assert (result.code, "not valid TOML" in result.err) == (2, True)
    (tmp_path / "pyproject.toml").unlink()
    (tmp_path / "yoyo.ini").write_text("[DEFAULT]\nsources = migrations\n")
    assert run_here("init").code == 2
    assert [path.name for path in tmp_path.iterdir()] == ["yoyo.ini"]


def test_every_text_of_a_project_may_begin_with_a_bom(tmp_path: Path, run_here: Callable) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "0001_a.sql").write_text("\ufeffCREATE TABLE a ();")
    (tmp_path / ".gitignore").write_text("\ufeff.postgres/\n")
    settings = tmp_path / "pgyoyo.toml"
    settings.write_text('\ufeff[tool.pgyoyo]\nmigrations = ["sql"]\n')
    assert "pgyoyo.toml has [tool.pgyoyo] already" in run_here("init").out
    assert (tmp_path / ".gitignore").read_text() == "\ufeff.postgres/\n"
    assert f"settings    from {settings}" in run_here("doctor").out
    settings.write_text('\ufefftool.pgyoyo.migrations = ["sql"]\n')
    assert f"settings    from {settings}" in run_here("doctor").out
    settings.unlink()
    (tmp_path / "yoyo.ini").write_text("\ufeff[DEFAULT]\nsources = sql\n")
    assert f"settings    from {tmp_path / 'yoyo.ini'}" in run_here("doctor").out
    (tmp_path / ".env").write_text("\ufeffDATABASE_URL=postgresql://nobody@h/d\n")
    assert environments.read_file(tmp_path / ".env") == {"DATABASE_URL": "postgresql://nobody@h/d"}
