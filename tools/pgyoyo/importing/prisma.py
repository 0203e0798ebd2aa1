"""Prisma Migrate: a folder a migration, with migration.sql in it."""

from pathlib import Path

from pgyoyo.errors import UsageError
from pgyoyo.importing.source import Imported, Project, Section, ids, text_of

FOLDERS = ("prisma/migrations", "migrations")


def read(folder: Path) -> Project:
    """The migrations of a folder, by name; a down.sql beside migration.sql undoes it. Raises UsageError."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; name Prisma's own: pgyoyo import prisma prisma/migrations")
    places = sorted(path for path in folder.iterdir() if path.is_dir())
    filled = [place for place in places if (place / "migration.sql").is_file()]
    migrations = []
    for name, place in zip(ids([place.name for place in filled]), filled, strict=True):
        undo = place / "down.sql"
        back = Section(text_of(undo)) if undo.is_file() else None
        migrations.append(Imported(name, place.name, Section(text_of(place / "migration.sql")), back))
    warnings = [f"{place} has no migration.sql, so it was left out" for place in places if place not in filled]
    return Project("prisma", tuple(migrations), warnings=tuple(warnings))
