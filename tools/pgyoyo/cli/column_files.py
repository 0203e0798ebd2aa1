"""What pgyoyo new --expand and --rename do: the files for another type or name of a column."""

from pathlib import Path

from pgyoyo.cli.context import scratch_target, target_defaults
from pgyoyo.columns import files, wanted
from pgyoyo.console import Console
from pgyoyo.migrations import reader, scaffold
from pgyoyo.settings import Settings


def written(config: Settings, expand: str | None, rename: str | None, scratch: str | None, prefix: str) -> list[Path]:
    """The paths of the files, which are in the first folder of migrations; `prefix` is that of its ids.

    Raises UsageError, and writes none, for a column that is not there or can't be moved by them; else what apply raises for
    the migrations that are there.
    """
    column = wanted.new_type(expand) if expand is not None else wanted.new_name(rename or "")
    folders = reader.read(config.migrations)
    server = scratch_target(config, scratch)
    with files.rebuilt(folders, server, target_defaults(config, folders, Console())) as conn:
        steps = files.pairs(conn, column)
    folder = Path(config.migrations[0])
    ids, heads = scaffold.following(folder)
    return scaffold.write_new(folder, files.texts(steps, column, ids, heads, prefix=prefix))
