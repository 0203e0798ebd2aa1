"""The SQL files of a Python migration, written beside it under the same id."""

import re
from contextlib import ExitStack
from pathlib import Path

from pgyoyo import whole_file
from pgyoyo.errors import UsageError
from pgyoyo.migrations.migration import ROLLBACK, Migration


def reasons(migration: Migration) -> list[tuple[str, str]]:
    """Why a Python migration can't be written as SQL, each with its place; none where it can be."""
    differences = [
        (f"{f.path}:{line}", words) for f in (migration.apply, migration.rollback) if f for line, words in f.blocked
    ]
    differences += [
        (str(migration.apply.path), f'it depends on "{name}", and an id with a blank can\'t stand in a directive')
        for name in migration.depends if re.search(r"\s", name)
    ]  # fmt: skip
    return list(dict.fromkeys(differences))


def write(migration: Migration, undo: ExitStack) -> Migration:
    """Write both files beside the .py; the migration that they are. `undo` removes what was written.

    Raises UsageError where a file is there already, or can't be written.
    """
    base = migration.apply.name.removesuffix(".py")
    apply = migration.apply._replace(name=f"{base}.sql", lines=())
    rollback = migration.rollback and migration.rollback._replace(name=f"{base}{ROLLBACK}", lines=())
    for file in filter(None, (apply, rollback)):
        try:
            whole_file.write_new({Path(file.name): file.data})
            undo.callback(Path(file.name).unlink, missing_ok=True)
        except FileExistsError:
            raise UsageError(f"{file.name} is there already; remove it, or rename one of the two") from None
        except OSError as error:
            raise UsageError(f"{file.name}: cannot be written: {error.strerror}") from None
    return migration._replace(apply=apply, rollback=rollback)
