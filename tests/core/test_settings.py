"""Settings: flag before environment before pyproject.toml, and what is wrong is said with its place."""

import os
from pathlib import Path

import pytest

from pgyoyo import settings
from pgyoyo.backfill.pacing import Limits
from pgyoyo.configuration import KEYS
from pgyoyo.errors import ServerError, UsageError
from pgyoyo.server import installs
from pgyoyo.settings import Settings

FULL = """
[tool.pgyoyo]
migrations = ["sql/a", "sql/b"]
database = "embedded"

[tool.pgyoyo.server]
version = 16
dbname = "app"
"""


def project(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(text)
    return folder


def load(directory: Path, *migrations: str, database: str | None = None, **environ: str) -> Settings:
    return settings.load(database=database, migrations=migrations, environ=environ, directory=directory)


def refusal(directory: Path, *migrations: str, database: str | None = None, **environ: str) -> str:
    with pytest.raises(UsageError) as caught:
        load(directory, *migrations, database=database, **environ).require_database()
    return str(caught.value).replace(f"{directory}/pyproject.toml: ", "")


# --- The database ---


def test_flag_wins_over_everything(tmp_path: Path) -> None:
    found = load(project(tmp_path, FULL), database="postgresql:///flag", DATABASE_URL="postgresql:///url", PGHOST="h")
    assert found.database == "postgresql:///flag"


def test_database_url_wins_over_libpqs_variables_and_the_file(tmp_path: Path) -> None:
    assert load(project(tmp_path, FULL), DATABASE_URL="postgresql:///url", PGHOST="h").database == "postgresql:///url"


@pytest.mark.parametrize("name", ["PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE", "PGDATABASE"])
def test_libpqs_variable_that_names_a_place_wins_over_the_file(name: str, tmp_path: Path) -> None:
    assert load(project(tmp_path, FULL), **{name: "x"}).database == ""


@pytest.mark.parametrize("name", ["PGUSER", "PGPASSWORD", "PGPASSFILE", "PGOPTIONS", "PGSSLMODE", "PGAPPNAME"])
def test_libpqs_variable_that_names_no_place_does_not(name: str, tmp_path: Path) -> None:
    assert load(project(tmp_path, FULL), **{name: "x"}).database == "embedded"
    assert "no database given" in refusal(project(tmp_path, ""), **{name: "x"})


def test_file_is_what_is_left(tmp_path: Path) -> None:
    assert load(project(tmp_path, FULL)).database == "embedded"


def test_no_database_anywhere_is_told_with_the_ways_to_give_one(tmp_path: Path) -> None:
    words = refusal(tmp_path)
    assert words.startswith(
        "no database given: pass --database URL, set DATABASE_URL or libpq's PGHOST, PGSERVICE, …, or"
    )
    assert 'write database = "embedded" under [tool.pgyoyo] in pyproject.toml' in words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b'database = "embedded"\n', "it has no section [tool.pgyoyo]; write that line above its settings"),
        (b'[pgyoyo]\ndatabase = "embedded"\n', "it has no section [tool.pgyoyo]"),
        ('[tool.pgyoyo]\ndatabase = "embedded"\n'.encode("utf-16"), "it is not UTF-8; save it as UTF-8 text"),
        (b"\n", "no database given"),
    ],
)
def test_pgyoyo_toml_that_means_nothing_is_an_error(text: bytes, words: str, tmp_path: Path) -> None:
    (tmp_path / "pgyoyo.toml").write_bytes(text)
    assert words in refusal(tmp_path)


def test_empty_values_count_as_unset(tmp_path: Path) -> None:
    project(tmp_path, FULL)
    empty = dict.fromkeys(["DATABASE_URL", "PGHOST", "PGSERVICE", "PGYOYO_MIGRATIONS", "PGYOYO_SERVER_VERSION"], "")
    assert load(tmp_path, "", database="", **empty) == load(tmp_path)
    assert load(tmp_path, database="", DATABASE_URL="x").database == "x"


# --- The folders ---


def test_folders_come_from_flag_then_environment_then_file_then_default(tmp_path: Path) -> None:
    project(tmp_path, FULL)
    assert load(tmp_path, "x", "y", PGYOYO_MIGRATIONS="z").migrations == ("x", "y")
    assert load(tmp_path, PGYOYO_MIGRATIONS="z").migrations == ("z",)
    assert load(tmp_path).migrations == ("sql/a", "sql/b")
    assert load(project(tmp_path, "[tool.pgyoyo]"), database="x").migrations == ("sql/migrations",)


def test_folders_of_the_file_are_relative_to_it_and_those_of_flag_and_environment_are_not(tmp_path: Path) -> None:
    project(tmp_path, FULL)
    below = tmp_path / "sql" / "deep"
    assert load(below).migrations == (f"{tmp_path}/sql/a", f"{tmp_path}/sql/b")
    assert load(tmp_path / "sql", "a").migrations == ("a",)
    assert load(tmp_path / "sql", PGYOYO_MIGRATIONS="a").migrations == ("a",)
    assert load(project(tmp_path, '[tool.pgyoyo]\nmigrations = ["/abs"]'), database="x").migrations == ("/abs",)


# --- The file ---


def test_file_is_found_from_a_folder_below_it(tmp_path: Path) -> None:
    project(tmp_path, FULL)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert load(below).root == tmp_path
    assert load(below).server_dbname == "app"


@pytest.mark.parametrize(
    "text",
    [
        '[ tool.pgyoyo ]\nmigrations = ["sql/a"]\nserver.version = 16',
        '[tool]\npgyoyo = { migrations = ["sql/a"], server = { version = 16 } }',
        'tool.pgyoyo = { migrations = ["sql/a"], server.version = 16 }',
        'tool.pgyoyo.migrations = ["sql/a"]\ntool.pgyoyo.server.version = 16',
        '[tool]\npgyoyo.migrations = ["sql/a"]\npgyoyo.server.version = 16',
        '["tool"."pgyoyo"]\n"migrations" = ["sql/a"]\n[tool.pgyoyo . server]\nversion = 16',
        "tool = { 'pgyoyo' = { migrations = ['sql/a'], server = { version = 16 } } }",
        '\ufeff[tool."pgyo\\u0079o"]\r\nmigrations = ["sql/a"]\r\nserver.version = 16\r\n',
    ],
)
def test_section_counts_however_toml_lets_it_be_written(text: str, tmp_path: Path) -> None:
    project(tmp_path, FULL)
    nested = load(project(tmp_path / "nested", text))
    assert (nested.root, nested.migrations, nested.server_version) == (tmp_path / "nested", ("sql/a",), 16)


def test_files_without_the_section_are_passed_by(tmp_path: Path) -> None:
    project(tmp_path, FULL)
    for text in ("[tool.other]\nx = 1", "# [tool.pgyoyo]", "[tool.pgyoyo-more]\nx = 1", "this is no toml", "tool = 'pgyoyo'",
        "[project]\ndependencies = ['pgyoyo']"):  # fmt: skip
        assert load(project(tmp_path / "nested", text)).root == tmp_path
    (tmp_path / "nested" / "pyproject.toml").write_bytes(b"\xff[tool.pgyoyo]")
    assert load(tmp_path / "nested").root == tmp_path


def test_nearest_file_with_the_section_counts_alone(tmp_path: Path) -> None:
    project(tmp_path, FULL)
    found = load(project(tmp_path / "nested", "[tool.pgyoyo]"), database="x")
    assert (found.root, found.server_version, found.server_dbname) == (tmp_path / "nested", 18, "postgres")


def test_without_a_file_the_folder_itself_is_the_root(tmp_path: Path) -> None:
    assert load(tmp_path, database="x") == Settings(tmp_path, ("sql/migrations",), "x", 18, "postgres")


def test_server_section_alone_is_enough(tmp_path: Path) -> None:
    assert load(project(tmp_path, "[tool.pgyoyo.server]\nversion = 16"), database="x").server_version == 16


# --- The version ---


def test_version_comes_from_environment_then_file_then_is_18(tmp_path: Path) -> None:
    project(tmp_path, FULL)
    assert load(tmp_path, PGYOYO_SERVER_VERSION="18").server_version == 18
    assert load(tmp_path).server_version == 16
    assert load(tmp_path / "x", database="x").server_version == 16
    assert load(Path("/"), database="x").server_version == 18


@pytest.mark.parametrize("value", ["13", "100", "18.1", "eighteen", "0", " 18", "\uff11\uff18"])
def test_version_that_is_not_embedded_is_refused(value: str, tmp_path: Path) -> None:
    words = refusal(project(tmp_path, FULL), PGYOYO_SERVER_VERSION=value)
    assert words.startswith(f"there is no PostgreSQL {value!r} to embed: give a major version, such as 18")
    assert "there is no PostgreSQL 9 to embed" in refusal(project(tmp_path, FULL.replace("16", "9")))


def test_programs_are_named_by_their_folder_which_tells_the_version(tmp_path: Path) -> None:
    programs = installs.programs(18)
    named = f'[tool.pgyoyo.server]\nbin = "{programs}"'
    loaded = load(project(tmp_path, named), database="x")
    assert (loaded.server_version, loaded.server_bin) == (18, programs)
    other = load(tmp_path, database="x", PGYOYO_SERVER_VERSION="16")
    assert (other.server_version, other.server_bin) == (16, None)


def test_folder_without_programs_is_refused(tmp_path: Path) -> None:
    project(tmp_path, '[tool.pgyoyo.server]\nbin = "nowhere"')
    with pytest.raises(
        ServerError, match=r"nowhere has no program postgres; bin in \[tool\.pgyoyo\.server\] is the folder"
    ):
        load(tmp_path, database="x")


# --- What is wrong ---


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[tool.pgyoyo]\nmigration = ["a"]', 'unknown key "migration" in [tool.pgyoyo]; did you mean migrations?'),
        (
            "[tool.pgyoyo]\nxyz = 1",
            'unknown key "xyz" in [tool.pgyoyo]; known are ' + ", ".join(KEYS["tool.pgyoyo"]),
        ),
        ("[tool.pgyoyo.server]\nvresion = 16", 'unknown key "vresion" in [tool.pgyoyo.server]; did you mean version?'),
        (
            '[tool.pgyoyo.backfill]\npause = "10"',
            'pause in [tool.pgyoyo.backfill]: "10" is not a percentage; write 10%',
        ),
        (
            '[tool.pgyoyo.backfill]\ntarget = "0ms"',
            'target in [tool.pgyoyo.backfill] is "0ms"; it must be greater than zero',
        ),
        (
            '[tool.pgyoyo.backfill]\nmax-wal = "1 gb"',
            'max-wal in [tool.pgyoyo.backfill]: "1 gb" is not a size; write 64MB or 1GB',
        ),
        ("[tool.pgyoyo.backfill]\npause = 10", "pause in [tool.pgyoyo.backfill] is 10; it must be a string"),
        ("[tool.pgyoyo.sever]\nversion = 16", 'unknown key "sever" in [tool.pgyoyo]; did you mean server?'),
        ('[tool.pgyoyo]\nmigrations = "a"', "migrations in [tool.pgyoyo] is 'a'; it must be a list of folders"),
        ("[tool.pgyoyo]\nmigrations = []", "migrations in [tool.pgyoyo] is []; it must be a list of folders"),
        ("[tool.pgyoyo]\nmigrations = [1]", "migrations in [tool.pgyoyo] is [1]; it must be a list of folders"),
        ('[pgyoyo]\nmigrations = ["a"]', "[pgyoyo] means nothing; write [tool.pgyoyo]"),
        ('[Tool.PGyoyo]\nmigrations = ["a"]', "[Tool.PGyoyo] means nothing; write [tool.pgyoyo]"),
        (
            '[tool.pgyoyo]\nmigrations = ["a\\u0000"]',
            r"migrations in [tool.pgyoyo] is ['a\x00']; it must be a list of folders",
        ),
        ('[tool.pgyoyo]\ndatabase = "a\\u0000"', r"database in [tool.pgyoyo] is 'a\x00'; it must be a string"),
        ('[tool.pgyoyo]\nmigrations = [""]', "migrations in [tool.pgyoyo] is ['']; it must be a list of folders"),
        ("[tool.pgyoyo]\ndatabase = 5", "database in [tool.pgyoyo] is 5; it must be a string"),
        ("[tool.pgyoyo]\nserver = 18", "server in [tool.pgyoyo] is 18; it must be a table"),
        ('[tool.pgyoyo.server]\nversion = "18"', "version in [tool.pgyoyo.server] is '18'; it must be a number"),
        ("[tool.pgyoyo.server]\nversion = true", "version in [tool.pgyoyo.server] is True; it must be a number"),
        ("[tool.pgyoyo.server]\ndbname = 1", "dbname in [tool.pgyoyo.server] is 1; it must be a string"),
        ("[tool]\npgyoyo = 3 # [tool.pgyoyo]", "pgyoyo in [tool] is 3; it must be a table"),
        ("[[tool.pgyoyo]]\n[tool.pgyoyo.server]", "pgyoyo in [tool] is [{'server': {}}]; it must be a table"),
        (
            '[tool.pgyoyo]\nignore = [{ patern = "x" }]',
            "ignore in [tool.pgyoyo] is [{'patern': 'x'}]; it must be a list of tables with a pattern and a reason",
        ),
        (
            '[tool.pgyoyo]\nignore = [{ pattern = "index *", reason = "", reasons = "" }]',
            'unknown key "reasons" in [tool.pgyoyo.ignore]; did you mean reason?',
        ),
        ("[tool.pgyoyo]\nmigrations = [", "not valid TOML: "),
    ],
)
def test_what_is_wrong_in_the_file_is_told(text: str, words: str, tmp_path: Path) -> None:
    project(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        load(tmp_path, database="x")
    assert str(caught.value).startswith(f"{tmp_path}/pyproject.toml: {words}")
    if words != "not valid TOML: ":
        assert str(caught.value).endswith(words)


def test_limits_of_a_backfill_are_read_in_seconds_bytes_and_shares(tmp_path: Path) -> None:
    text = '[tool.pgyoyo]\ndatabase = "embedded"\n[tool.pgyoyo.backfill]\ntarget = "50ms"\npause = "25%"\n'
    text += 'lock-timeout = "200ms"\nmax-replica-lag = "0"\nmax-wal = "4GB"\ngrowth = "20%"\n'
    assert load(project(tmp_path, text)).limits == Limits(0.05, 0.25, 0.2, 0.0, 4 << 30, 0.2)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files of another account")
@pytest.mark.parametrize(
    ("name", "text"),
    [("pyproject.toml", "[tool.pgyoyo]\nmigrations = ['m']\n"), ("yoyo.ini", "[DEFAULT]\nsources = m\n")],
)
def test_settings_of_a_stranger_above_the_folder_are_not_used(name: str, text: str, tmp_path: Path) -> None:
    path, here = tmp_path / name, tmp_path / "project"
    here.mkdir()
    path.write_text(text)
    above = load(here).migrations
    os.chown(path, 4321, -1)
    with pytest.raises(
        UsageError, match=rf"{name}: belongs to another account \(uid 4321\), so its settings are not used"
    ):
        load(here)
    os.chown(here, 4321, -1)
    assert load(here).migrations == above
