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
    "diesel": "diesel",
    "django": "django",
    "drizzle": "drizzle",
    "flyway": "flyway",
    "golang-migrate": "golang_migrate",
    "goose": "goose",
    "node-pg-migrate": "node_pg_migrate",
    "prisma": "prisma",
    "refinery": "refinery",
    "sqitch": "sqitch",
    "sqlx": "sqlx",
}


# By tool, a file that only it has, as a pattern from the project's folder, and words that are in it.
_SIGNS = (
    ("sqitch", "{,*/}sqitch.plan", b""),
    ("prisma", "{,*/}migrations/migration_lock.toml", b""),
    ("drizzle", "{,*/}{drizzle,migrations}/meta/_journal.json", b""),
    ("alembic", "alembic.ini", b""),
    ("django", "manage.py", b"django"),
    ("diesel", "{,*/}{migrations,migrations/postgresql,migrations/postgres}/*/up.sql", b""),
    ("golang-migrate", "{,*/}{migrations,migration}/[0-9]*.up.sql", b""),
    ("flyway", "{,*/,src/main/resources/db/}{migrations,migration}/V[0-9]*__*.sql", b""),
    ("dbmate", "{,*/}migrations/[0-9]*.sql", b"migrate:up"),
    ("goose", "{,*/}migrations/[0-9]*.sql", b"+goose"),
    ("node-pg-migrate", "{,*/}migrations/*.sql", b"-- Up Migration"),
)


def guess(root: Path) -> list[tuple[str, Path]]:
    """The tools whose files are in a project, as far as names and first words show, each with the folder to import."""
    seen: dict[str, Path] = {}
    for tool, pattern, words in _SIGNS:
        paths = (path for plain in _plain(pattern) for path in sorted(root.glob(plain)))
        match = next((path for path in paths if not words or words in path.read_bytes()[:65536]), None)
        if match:
            up = 2 if tool in ("diesel", "drizzle") else 1
            seen[tool] = match.parents[up - 1].relative_to(root)
    return list(seen.items())


def _plain(pattern: str) -> list[str]:
    """The patterns that one with alternatives in braces stands for."""
    head, brace, rest = pattern.partition("{")
    if not brace:
        return [pattern]
    choices, _, tail = rest.partition("}")
    return [head + choice + more for choice in choices.split(",") for more in _plain(tail)]


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
