"""The tools whose migrations can be imported, by name."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from pgyoyo.errors import UsageError
from pgyoyo.importing.source import Project

# Name: the module that reads its files.
TOOLS: Mapping[str, str] = {
    "alembic": "alembic",
    "dbmate": "dbmate",
    "django": "django",
    "drizzle": "drizzle",
    "flyway": "flyway",
    "golang-migrate": "golang_migrate",
    "goose": "goose",
    "prisma": "prisma",
    "sqitch": "sqitch",
}


def read(tool: str, folder: Path | None) -> Project:
    """The migrations of a tool's folder, by default the first of its usual ones that is there.

    Raises UsageError where there is no such folder, no migration in it, or what the tool itself would not read.
    """
    module = import_module(f"pgyoyo.importing.{TOOLS[tool]}")
    usual: tuple[str, ...] = module.FOLDERS
    if folder is None:
        folder = next((path for path in map(Path, usual) if path.exists()), None)
        if folder is None:
            raise UsageError(f"none of {', '.join(usual)} is here; name the folder: pgyoyo import {tool} FOLDER")
    elif not folder.exists():
        raise UsageError(f"{folder} does not exist; name {tool}'s folder, by default {usual[0]}")
    reader: Callable[[Path], Project] = module.read
    project = reader(folder)
    if not project.migrations:
        raise UsageError(f"{folder} holds no migration of {tool}; name another folder: pgyoyo import {tool} FOLDER")
    return project
