"""yoyo.ini says what yoyo itself would take from it, where a project has no [tool.pgyoyo]."""

from pathlib import Path

import pytest
from yoyo.config import read_config

from pgyoyo.errors import UsageError
from pgyoyo.settings import load
from pgyoyo.yoyo_ini import read

ENVIRON = {"DB_USER": "ann", "DB_PASSWORD": "p%40ss%x", "HOME": "/home/ann"}

FILES = {
    "plain": "[DEFAULT]\nsources = migrations\ndatabase = postgresql+psycopg://a@h/d\nbatch_mode = off\nverbosity = 0\n",
    "several": "[DEFAULT]\nsources = %(here)s/a  %(here)s/*/b\n   c\nmigration_table: my_table\nprefix = api_\n",
    "environment": "[DEFAULT]\ndatabase = postgresql://%(DB_USER)s:%(DB_PASSWORD)s@h/d?x=100%%\nSources = x\n",
    "keys": "[DEFAULT]\nhost = db.example.org\ndatabase = postgresql://%(host)s/%(name)s\nname = d_%(DB_USER)s\n",
    "other sections": "# a comment\n[DEFAULT]\nsources = a\n[other]\nsources = b\n",
}


@pytest.mark.parametrize("name", FILES)
def test_values_are_those_that_yoyo_reads(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in ENVIRON.items():
        monkeypatch.setenv(key, value)
    path = tmp_path / "yoyo.ini"
    path.write_text(FILES[name])
    theirs, ours = read_config(str(path))["DEFAULT"], read(path, ENVIRON)
    assert ours.database == theirs.get("database")
    assert ours.migration_table == theirs.get("migration_table")
    assert ours.prefix == theirs.get("prefix", "")
    assert list(ours.folders) == [str(tmp_path / source) for source in theirs.get("sources", "").split()]


def test_what_is_included_and_inherited_counts_as_for_yoyo(tmp_path: Path) -> None:
    (tmp_path / "base.ini").write_text("[DEFAULT]\nsources = base\ndatabase = postgresql:///base\nprefix = base_\n")
    (tmp_path / "local.ini").write_text("[DEFAULT]\ndatabase = postgresql:///local\n")
    path = tmp_path / "yoyo.ini"
    path.write_text("[DEFAULT]\n%inherit = base.ini\n%include = local.ini ?none.ini\nprefix = own_\n")
    theirs, ours = read_config(str(path))["DEFAULT"], read(path, {})
    assert [ours.database, ours.prefix] == [theirs["database"], theirs["prefix"]] == ["postgresql:///local", "own_"]
    assert ours.folders == (str(tmp_path / "base"),)
    assert ours.ignored == ()


WRONG = {
    "no section": ("database = secret", ":1: "),
    "twice": ("[DEFAULT]\ndatabase = a\ndatabase = secret\n", ":3: "),
    "no such variable": ("[DEFAULT]\nsources = secret%(NOWHERE)s/d\n", "needs the variable NOWHERE"),
    "percent": ("[DEFAULT]\ndatabase = postgresql://a:secret%40@h/d\n", "write it as %%"),
    "circle of keys": ("[DEFAULT]\ndatabase = secret%(b)s\nb = %(database)s\n", "refers to itself"),
    "circle of files": ("[DEFAULT]\n%include = yoyo.ini\n", "includes itself"),
    "no such file": ("[DEFAULT]\n%include = none.ini\n", "cannot be read"),
    "no such package": ("[DEFAULT]\nsources = package:nowhere_at_all:m\n", "not installed"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said_without_a_value(name: str, tmp_path: Path) -> None:
    text, words = WRONG[name]
    (tmp_path / "yoyo.ini").write_text(text)
    with pytest.raises(UsageError) as caught:
        read(tmp_path / "yoyo.ini", {})
    assert words in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_variable_that_is_not_set_stops_only_a_command_that_needs_the_database(tmp_path: Path) -> None:
    (tmp_path / "yoyo.ini").write_text("[DEFAULT]\nsources = m\ndatabase = postgresql://a:secret@%(NOWHERE)s/d\n")
    given = load(database=None, migrations=(), environ={"DATABASE_URL": "x"}, directory=tmp_path)
    assert (given.database, given.migrations) == ("x", ("m",))
    config = load(database=None, migrations=(), environ={}, directory=tmp_path)
    assert config.database is None
    with pytest.raises(UsageError, match=r"database needs the variable NOWHERE.*; set it, set DATABASE_URL") as caught:
        config.require_database()
    assert "secret" not in str(caught.value)


def test_package_is_found_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app_of_15").mkdir()
    (tmp_path / "app_of_15" / "__init__.py").write_text("raise AssertionError")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "yoyo.ini").write_text("[DEFAULT]\nsources = package:app_of_15:db/migrations\n")
    assert read(tmp_path / "yoyo.ini", {}).folders == (str(tmp_path / "app_of_15" / "db" / "migrations"),)


def test_settings_come_from_yoyo_ini_where_there_is_no_table_of_ours(tmp_path: Path) -> None:
    (tmp_path / "yoyo.ini").write_text(
        "[DEFAULT]\nsources = m\ndatabase = postgresql:///d\nmigration_table = t\neditor = x\n"
    )
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'uses-pgyoyo'\n")
    below = tmp_path / "below"
    below.mkdir()
    settings = load(database=None, migrations=(), environ={}, directory=below)
    assert (settings.root, settings.database, settings.migration_table) == (tmp_path, "postgresql:///d", "t")
    assert settings.migrations == (str(tmp_path / "m"),)
    assert settings.ini
    assert settings.ini.ignored == ("editor",)
    settings = load(database="x", migrations=("y",), environ={}, directory=tmp_path)
    assert (settings.database, settings.migrations) == ("x", ("y",))
    (tmp_path / "pyproject.toml").write_text("[tool.pgyoyo.server]\nversion = 16\n")
    settings = load(database=None, migrations=(), environ={}, directory=below)
    assert (settings.server_version, settings.migration_table, settings.migrations) == (16, "t", (str(tmp_path / "m"),))
    assert settings.ini
    (tmp_path / "pyproject.toml").write_text("[tool.pgyoyo]\nmigrations = ['z']\n")
    settings = load(database=None, migrations=(), environ={}, directory=tmp_path)
    assert (settings.database, settings.migrations, settings.ini) == (None, ("z",), None)
