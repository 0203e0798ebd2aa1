"""Several environments in one file, and a .env file that is read when asked for."""

from pathlib import Path

import pytest

from pgyoyo import environments, settings
from pgyoyo.errors import UsageError

TEXT = """
[tool.pgyoyo]
migrations = ["sql/a"]
database = "embedded"
[tool.pgyoyo.env.staging]
database = "$STAGING_URL"
[tool.pgyoyo.env.local]
migrations = ["sql/b"]
"""


def load(folder: Path, name: str | None, text: str = TEXT, **environ: str) -> settings.Settings:
    (folder / "pyproject.toml").write_text(text)
    return settings.load(database=None, migrations=(), environ=environ, directory=folder, environment=name)


def test_environment_overrules_the_variables_and_the_other_sections(tmp_path: Path) -> None:
    staging = load(tmp_path, "staging", STAGING_URL="postgresql://staging/", DATABASE_URL="postgresql://mine/")
    assert (staging.database, staging.migrations) == ("postgresql://staging/", ("sql/a",))
    assert load(tmp_path, None, DATABASE_URL="postgresql://mine/").database == "postgresql://mine/"
    local = load(tmp_path, "local", DATABASE_URL="postgresql://mine/")
    assert (local.database, local.migrations) == ("postgresql://mine/", ("sql/b",))


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("stagin", TEXT, "there is no .*did you mean staging"),
        ("staging", "[tool.pgyoyo]", "there is no .*; none is defined"),
        ("staging", TEXT, "STAGING_URL, which is not set"),
        (None, TEXT + "xyz = 1", 'unknown key "xyz"'),
        (None, "[tool.pgyoyo]\nenv = {a = 1}", "a in .tool.pgyoyo.env. is 1; write a table"),
    ],
)
def test_what_is_wrong_is_named(name: str | None, text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        load(tmp_path, name, text)


PARTS = """
[tool.pgyoyo]
database = "$LOCAL_URL"
[tool.pgyoyo.env.staging]
database = "postgresql://app:${PW}@$HOST/shop"
"""


def test_variables_stand_for_the_database_or_parts_of_it(tmp_path: Path) -> None:
    assert load(tmp_path, "staging", PARTS, PW="a$b", HOST="h:5").database == "postgresql://app:a$b@h:5/shop"
    assert load(tmp_path, None, PARTS, LOCAL_URL="postgresql://u:p$W@h/d").database == "postgresql://u:p$W@h/d"
    assert load(tmp_path, None, PARTS, DATABASE_URL="postgresql://h/a$b").database == "postgresql://h/a$b"
    assert load(tmp_path, None, PARTS.replace("LOCAL_URL", "local_url"), local_url="host=h").database == "host=h"
    assert (
        load(tmp_path, None, PARTS.replace("$LOCAL_URL", "postgresql://u:a$b@h/d")).database == "postgresql://u:a$b@h/d"
    )
    with pytest.raises(UsageError) as caught:
        load(tmp_path, "staging", PARTS, HOST="h")
    assert str(caught.value).endswith("database in [tool.pgyoyo.env.staging] needs ${PW}, which is not set")
    # A command that needs no database does without.
    config = load(tmp_path, None, PARTS)
    assert config.database is None
    with pytest.raises(
        UsageError, match=r"database in \[tool.pgyoyo\] is \$LOCAL_URL, which is not set; set it, set DATABASE"
    ):
        config.require_database()


def test_env_file_is_read_when_asked_for(
    tmp_path: Path, run_here, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pyproject.toml").write_text(TEXT)
    (tmp_path / "sql/a").mkdir(parents=True)
    (tmp_path / "sql/a/0001_a.sql").write_text("CREATE TABLE a ();")
    (tmp_path / ".env").write_text(f'# a comment\nexport STAGING_URL="{database}"  # the URL\nA=b c # d\n')
    assert environments.read_file(tmp_path / ".env") == {"STAGING_URL": database, "A": "b c"}
    assert run_here("apply", "--env", "staging").code == 2
    for name in ("STAGING_URL", "A"):  # set by the run, and taken away after the test
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    assert run_here("apply", "--env", "staging", "--env-file", ".env").code == 0
    assert run_here("status", "--database", database, "--exit-code").code == 0


def test_line_that_is_none_is_named_by_its_number_only(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\npassw0rd\n")
    with pytest.raises(UsageError) as caught:
        environments.read_file(tmp_path / ".env")
    assert str(caught.value) == f"{tmp_path}/.env:2: this is no NAME=value line"
