"""node-pg-migrate: one .sql file a migration, divided by `-- Up Migration` and `-- Down Migration`, or one for each."""

import re
from datetime import UTC, datetime
from pathlib import Path

from pgyoyo.importing.source import Imported, Project, Section, files_of, ids, refuse_twins, text_of

FOLDERS = ("migrations", "db/migrations")
_NAME = re.compile(r"(?P<name>[^.].*?)(?:\.(?P<way>up|down))?\.sql")
_CODE = re.compile(r"[^.].*(?<!\.d)\.(?:[cm]?js|[cm]?ts|tsx)")
# src/sqlMigration.ts: the first of each in the file.
_MARKS = {way: re.compile(rf"(?im)^\s*--[\s-]*{way}\s+migration[^\r\n]*\r?\n?") for way in ("up", "down")}


def read(folder: Path) -> Project:
    """The migrations of a folder, in the order of their times; raises UsageError for two files of one name."""
    files = files_of(folder)
    paths = {path: match for path in files if (match := _NAME.fullmatch(path.name))}
    ups = [path for path, match in paths.items() if match["way"] != "down"]
    downs = {match["name"]: path for path, match in paths.items() if match["way"] == "down"}
    refuse_twins((paths[path]["name"], path.name) for path in ups)
    ups.sort(key=lambda path: (_time(path.name), path.name))
    migrations = []
    for name, path in zip(ids([paths[path]["name"] for path in ups]), ups, strict=True):
        own, down = paths[path]["name"], downs.pop(paths[path]["name"], None)
        up, back = (text_of(path), text_of(down) if down else None) if paths[path]["way"] else _halves(text_of(path))
        migrations.append(Imported(name, own, Section(up), Section(back) if back is not None else None))
    warnings = [f"{path} has no .up.sql file beside it, so it was left out" for path in downs.values()]
    warnings += [f"{path} is JavaScript, so it was left out; write its SQL in its place"
                 for path in files if _CODE.fullmatch(path.name)]  # fmt: skip
    return Project("node-pg-migrate", tuple(migrations), warnings=tuple(warnings))


def _halves(text: str) -> tuple[str, str | None]:
    """What runs forwards, the whole text where nothing says "Up Migration", and what runs back."""
    up, down = (pattern.search(text) for pattern in _MARKS.values())
    forwards = text[up.end() : down.start() if down and down.start() > up.start() else None] if up else text
    back = text[down.end() : up.start() if up and up.start() > down.start() else None] if down else None
    return forwards.strip("\r\n") + "\n", back


def _time(name: str) -> int:
    """Milliseconds, as src/migration.ts reads them: a number, or a date of 17 digits in UTC."""
    digits = name[: len(name) - len(name.lstrip("0123456789"))]
    if len(digits) != 17:
        return int(digits or 0)
    try:
        return int(datetime.strptime(digits + "000", "%Y%m%d%H%M%S%f").replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:
        return int(digits)
