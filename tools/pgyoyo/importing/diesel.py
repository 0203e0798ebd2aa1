"""Diesel: a folder a migration, with up.sql and down.sql in it."""

import tomllib
from pathlib import Path

from pgyoyo.errors import UsageError
from pgyoyo.importing.source import Imported, Project, Section, ids, refuse_twins, text_of

FOLDERS = ("migrations", "migrations/postgresql", "migrations/postgres")


def read(folder: Path) -> Project:
    """The migrations of a folder, by version; a metadata.toml says which run without a transaction. Raises UsageError."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; name Diesel's own: pgyoyo import diesel migrations")
    places = sorted(
        (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")),
        key=lambda place: version(place.name),
    )
    filled = [place for place in places if (place / "up.sql").is_file()]
    refuse_twins((version(place.name), place.name) for place in filled)
    plain = [place.name for place in filled]
    if plain != sorted(plain):  # dates with hyphens beside those without: as the ledger calls them
        plain = [f"{version(name)}_{name.partition('_')[2]}" for name in plain]
    migrations = []
    for name, place in zip(ids(plain), filled, strict=True):
        transactional, undo = _in_transaction(place / "metadata.toml"), place / "down.sql"
        back = Section(text_of(undo), transactional) if undo.is_file() else None
        migrations.append(Imported(name, place.name, Section(text_of(place / "up.sql"), transactional), back))
    warnings = [f"{place} has no up.sql, so it was left out" for place in places if place not in filled]
    return Project("diesel", tuple(migrations), warnings=tuple(warnings))


def version(name: str) -> str:
    """What Diesel's ledger calls a folder of that name (migrations_internals: version_from_string)."""
    return name.partition("_")[0].replace("-", "")


def _in_transaction(path: Path) -> bool:
    try:
        settings = tomllib.loads(text_of(path)) if path.is_file() else {}
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: {error}") from None
    return settings.get("run_in_transaction", True) is not False
