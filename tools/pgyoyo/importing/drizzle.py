"""Drizzle Kit: numbered files in the order of meta/_journal.json, or a folder a migration; statements between breakpoints."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

from pgyoyo.errors import UsageError
from pgyoyo.importing.source import Imported, Project, Section, ids, terminated, text_of

FOLDERS = ("drizzle", "drizzle/migrations", "migrations")
_BREAK = re.compile(r"[ \t]*--> ?statement-breakpoint[ \t]*\r?\n?")


def read(folder: Path) -> Project:
    """The migrations of a folder. Drizzle has no way back. Raises UsageError for a journal that can't be read."""
    journal = folder / "meta" / "_journal.json"
    entries = _journal(journal) if journal.is_file() else _folders(folder)
    if not entries:
        raise UsageError(f"there is no {journal}; name Drizzle's folder: pgyoyo import drizzle FOLDER")
    made = ids([name for name, _, _ in entries])
    migrations = (
        Imported(migration_id, f"{name}, {when}", _section(path))
        for migration_id, (name, when, path) in zip(made, entries, strict=True)
    )
    return Project("drizzle", tuple(migrations))


def created_at(name: str) -> int:
    """The time by which Drizzle's ledger knows a migration, in milliseconds."""
    match = re.search(r", (\d+)$", name)
    return int(match[1]) if match else 0


def _journal(path: Path) -> list[tuple[str, int, Path]]:
    try:
        entries = sorted(json.loads(text_of(path))["entries"], key=lambda entry: entry["idx"])
        named = [(str(entry["tag"]), int(entry["when"])) for entry in entries]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{path} is no journal of drizzle-kit ({error!r}); generate it again: drizzle-kit generate"
        ) from None
    return [(name, when, path.parents[1] / f"{name}.sql") for name, when in named]


def _folders(folder: Path) -> list[tuple[str, int, Path]]:
    """The newer layout: the time stands in the folder's name."""
    places = sorted(folder.glob("[0-9]*_*/migration.sql"))
    return [(path.parent.name, _milliseconds(path.parent.name), path) for path in places]


def _milliseconds(name: str) -> int:
    try:
        return int(datetime.strptime(name[:14], "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return 0


def _section(path: Path) -> Section:
    return Section("\n".join(terminated(part.strip("\r\n") + "\n") for part in _BREAK.split(text_of(path))))
