"""The recipes in tools/README.md: the Python runs, the commands are ones that there are."""

import asyncio
import re
import shlex
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import click
import pytest

import pgyoyo
from pgyoyo.cli.main import cli

TEXT = (Path(__file__).parents[2] / "tools" / "README.md").read_text().partition("\n## From a program\n")[2]
TEXT = TEXT.partition("\n## ")[0]
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
OTHERS = "\n".join(re.findall(r"```(?:yaml|sh)\n(.*?)```", TEXT, re.DOTALL))
COMMANDS = [
    *re.findall(r"\bpgyoyo (?!check$\n        entry)[a-z].*", re.sub(r"name: pgyoyo.*", "", OTHERS)),
    *(line.replace(",", "") for line in re.findall(r"\[(pgyoyo, .*?)\]", OTHERS)),
]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project with one migration, and frameworks that only remember what they were given."""
    folder = tmp_path / "sql" / "migrations"
    folder.mkdir(parents=True)
    (folder / "0001_a.sql").write_text("CREATE TABLE a ();")
    monkeypatch.chdir(tmp_path)
    for name, thing in (("fastapi", "FastAPI"), ("flask", "Flask")):
        module = ModuleType(name)
        setattr(module, thing, lambda *args, **options: SimpleNamespace(**options))
        monkeypatch.setitem(sys.modules, name, module)


def test_fastapi_begins_with_its_migrations_applied(project: None, database: str) -> None:
    names = {"DATABASE_URL": database}
    exec(PYTHON[0], names)

    async def run() -> None:
        async with names["app"].lifespan(None):
            assert pgyoyo.pending(database, "sql/migrations") == ()

    asyncio.run(run())


def test_flask_begins_with_its_migrations_applied(project: None, database: str) -> None:
    names: dict = {"__name__": "app"}
    exec(PYTHON[1], names)
    names["create_app"](SimpleNamespace(url=database))
    assert pgyoyo.pending(database, "sql/migrations") == ()


def test_engine_of_sqlalchemy_says_where(project: None, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def create_engine(url: str) -> SimpleNamespace:
        # As sqlalchemy.engine.URL: str() of it hides the password.
        shown = SimpleNamespace(render_as_string=lambda hide_password=True: "***" if hide_password else url)
        return SimpleNamespace(url=shown)

    module = ModuleType("sqlalchemy")
    module.create_engine = create_engine
    monkeypatch.setitem(sys.modules, "sqlalchemy", module)
    exec(PYTHON[2], {"DATABASE_URL": database})
    assert pgyoyo.pending(database, "sql/migrations") == ()


@pytest.mark.parametrize("command", COMMANDS)
def test_command_of_a_recipe_has_the_options_that_it_is_given(command: str) -> None:
    _, name, *arguments = shlex.split(command)
    found = cli.get_command(click.Context(cli), name)
    assert found
    found.make_context(name, arguments)


def test_recipes_are_all_looked_at() -> None:
    assert len(PYTHON) == 3
    assert len(COMMANDS) == 8
