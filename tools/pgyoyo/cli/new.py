"""pgyoyo new."""

from glob import glob
from pathlib import Path

import click

from pgyoyo.cli.config import load
from pgyoyo.cli.options import examples, place_options
from pgyoyo.console import Console
from pgyoyo.errors import UsageError
from pgyoyo.migrations import scaffold


@click.command(epilog=examples("pgyoyo new add_grade", "pgyoyo new add_grade --migrations sql/migrations"))
@place_options
@click.argument("name")
def new(name: str, database: str | None, migrations: tuple[str, ...]) -> None:  # noqa: ARG001 - no database is needed
    """Create the next pair of migration files.

    NNNN_NAME.sql depends on the last migration there; NNNN_NAME.rollback.sql stands beside it. No file is overwritten.
    """
    folder = _folder(load(migrations=migrations).migrations[0])
    for path in scaffold.write(folder, name):
        Console().answer(f"wrote {path}")


def _folder(name: str) -> Path:
    """The folder of that name, else the only one that the name matches as a pattern; raises UsageError."""
    folder = Path(name)
    if folder.is_dir() or not any(character in name for character in "*?["):
        return folder
    matches = [path for path in sorted(glob(name)) if Path(path).is_dir()]  # noqa: PTH207 - may be absolute
    if len(matches) != 1:
        what = f"matches {', '.join(matches)}" if matches else "matches no folder"
        raise UsageError(f'the migrations folder "{name}" {what}; choose one: --migrations DIR')
    return Path(matches[0])
