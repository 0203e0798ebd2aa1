"""pgyoyo init."""

import tomllib
from pathlib import Path
from shlex import quote

import click

from pgyoyo.cli.config import load
from pgyoyo.cli.options import examples
from pgyoyo.configuration import FILES
from pgyoyo.console import Console
from pgyoyo.errors import UsageError
from pgyoyo.importing import tools
from pgyoyo.migrations import elsewhere, starting
from pgyoyo.settings import EMBEDDED
from pgyoyo.units import several

_NEXT = """next:
  pgyoyo apply      {apply}
  pgyoyo status     shows what is applied and what is pending
  pgyoyo new NAME   writes the next pair of files"""
_EMBEDDED = "starts a PostgreSQL of the project's own in .postgres/, and applies the first migration"
# The environment overrules the settings.
_NAMED = "applies the first migration to the database that the environment names"
_CONFIGURED = "applies the first migration to the database of the settings or the environment"


@click.command(epilog=examples("pgyoyo init"))
def init() -> None:
    """Set up a project that has no migrations yet.

    Asks nothing. Writes [tool.pgyoyo] into pyproject.toml, or into a new pgyoyo.toml where there is none, a folder with a
    first pair of files, and a line for .gitignore. What is there already stays as it is.
    """
    load()  # refuses settings that can't be read, and a folder that is gone
    here, console = Path.cwd(), Console()
    if (here / "yoyo.ini").exists():
        raise UsageError("this project has a yoyo.ini, whose settings pgyoyo reads; next: pgyoyo doctor")
    configured = next((name for name in FILES if _is_configured(here / name)), None)
    if configured is None:
        _refuse_elsewhere(here)
    written = starting.write(here, configured=configured is not None)
    config = load()
    folder = Path(config.migrations[0])
    foreign = [] if folder.is_dir() else tools.guess(here)
    pair = () if foreign else starting.first_pair(folder)
    for path in (*written, *pair):
        console.answer(f"wrote {path.relative_to(here) if path.is_absolute() else path}")
    if configured:
        console.answer(f"{configured} has [tool.pgyoyo] already, so it stays as it is")
    for tool, place in foreign:  # an example would be the first of them, and run in their database
        console.answer(f"{place} looks like {tool}'s; next: pgyoyo import {tool} {quote(str(place))}")
    if foreign:
        return
    if not pair:
        console.answer(f"{folder} holds migrations already, so it stays as it is")
    elsewhere_words = _CONFIGURED if configured else _NAMED
    console.answer(_NEXT.format(apply=_EMBEDDED if config.database == EMBEDDED else elsewhere_words))


def _refuse_elsewhere(here: Path) -> None:
    """Raises UsageError where the project keeps migrations in a folder that the first settings would not name."""
    folders = [str(path) for path in elsewhere.look(here).folders]
    if folders in ([], [starting.FOLDER]):
        return
    key = ", ".join(f'"{name}"' for name in folders)
    raise UsageError(
        f"there are migrations of yoyo's in {several(folders)}; write where they are into pyproject.toml or pgyoyo.toml: "
        f"[tool.pgyoyo] with migrations = [{key}]; next: pgyoyo doctor"
    )


def _is_configured(path: Path) -> bool:
    try:
        tool = tomllib.loads(path.read_text(encoding="utf-8-sig")).get("tool")
    except FileNotFoundError:
        return False
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: not valid TOML: {error}; correct it first") from None
    return isinstance(tool, dict) and "pgyoyo" in tool
