"""sqlx: a file a migration, `N_name.sql`, or two, `N_name.up.sql` and `N_name.down.sql`."""

import re
from pathlib import Path

from pgyoyo.importing.source import Imported, Project, Section, files_of, ids, refuse_twins, text_of

FOLDERS = ("migrations",)
# sqlx-core's migrate/source.rs: what ends otherwise is passed over; the version is a number.
_NAME = re.compile(r"([0-9]+)_(.*?)(?:\.(up|down))?\.sql")


def read(folder: Path) -> Project:
    """The migrations of a folder, by number; raises UsageError for two files of one version and direction."""
    paths = {path: match for path in files_of(folder) if (match := _NAME.fullmatch(path.name))}
    ups = {path: match for path, match in paths.items() if match[3] != "down"}
    downs = {int(match[1]): path for path, match in paths.items() if match[3] == "down"}
    for files in (ups, {path: match for path, match in paths.items() if path not in ups}):
        refuse_twins((int(match[1]), path.name) for path, match in files.items())
    ordered = sorted(ups, key=lambda path: int(ups[path][1]))
    migrations = []
    for name, path in zip(ids([f"{ups[path][1]}_{ups[path][2]}" for path in ordered]), ordered, strict=True):
        down = downs.pop(int(ups[path][1]), None)
        migrations.append(Imported(name, path.name, _section(path), _section(down) if down else None))
    alone = [f"{path} has no file for the way up beside it, so it was left out" for path in downs.values()]
    return Project("sqlx", tuple(migrations), warnings=tuple(alone))


def version(name: str) -> int:
    """What the ledger of sqlx calls a file of that name."""
    match = re.match(r"[0-9]+", name)
    return int(match[0]) if match else 0


def _section(path: Path) -> Section:
    text = text_of(path)
    return Section(text, transactional=not text.startswith("-- no-transaction"))
