"""golang-migrate: two files a migration, `N_name.up.sql` and `N_name.down.sql`, or with another ending, by their numbers."""

import re
from pathlib import Path

from pgyoyo.importing.source import Imported, Project, Section, files_of, ids, refuse_twins, text_of

FOLDERS = ("db/migrations", "migrations", "db/migration")
# source/parse.go
_NAME = re.compile(r"([0-9]+)_(.*)\.(up|down)\.(.*)")


def read(folder: Path) -> Project:
    """The migrations of a folder; raises UsageError for two files of one version and direction."""
    paths = {path: match for path in files_of(folder) if (match := _NAME.fullmatch(path.name))}
    ways: dict[str, dict[int, Path]] = {"up": {}, "down": {}}
    for way, by_version in ways.items():
        refuse_twins((int(match[1]), path.name) for path, match in paths.items() if match[3] == way)
        by_version.update({int(match[1]): path for path, match in paths.items() if match[3] == way})
    ups, downs = (dict(sorted(by_version.items())) for by_version in ways.values())
    made = ids([f"{paths[up][1]}_{paths[up][2]}" for up in ups.values()])
    migrations = tuple(
        Imported(name, up.name, Section(text_of(up)), Section(text_of(downs[number])) if number in downs else None)
        for name, (number, up) in zip(made, ups.items(), strict=True)
    )
    alone = [
        f"{path} has no .up file beside it, so it was left out" for number, path in downs.items() if number not in ups
    ]
    return Project("golang-migrate", migrations, warnings=tuple(alone))


def version(name: str) -> int:
    """What the ledger of golang-migrate calls a file of that name."""
    match = re.match(r"[0-9]+", name)
    return int(match[0]) if match else 0
