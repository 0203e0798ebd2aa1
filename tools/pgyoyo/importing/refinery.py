"""refinery: a file a migration, `V1__name.sql`, or `U1__name.sql` for what may come out of order; neither has a way back."""

import re
from pathlib import Path

from pgyoyo.errors import UsageError
from pgyoyo.importing.source import Imported, Project, Section, ids, refuse_twins, text_of

FOLDERS = ("migrations", "src/migrations")
# refinery_core/src/util.rs
_NAME = re.compile(r"(?P<kind>[UV])(?P<version>\d+)__(?P<name>\w+)\.(?P<ending>rs|sql)")


def read(folder: Path) -> Project:
    """The migrations of a folder and those below it, by version; raises UsageError for two files of one version."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; name refinery's own: pgyoyo import refinery migrations")
    paths = {path: match for path in folder.rglob("*") if path.is_file() and (match := _NAME.fullmatch(path.name))}
    refuse_twins((version(path.name), path.name) for path in paths)
    files = sorted((path for path in paths if path.suffix == ".sql"), key=lambda path: version(path.name))
    made = ids([f"{paths[path]['version'].zfill(4)}_{paths[path]['name']}" for path in files])
    migrations = [Imported(name, path.name, Section(text_of(path))) for name, path in zip(made, files, strict=True)]
    code = sorted(path for path in paths if path.suffix == ".rs")
    warnings = [f"{path} is Rust code, so it was left out; write its SQL in its place" for path in code]
    return Project("refinery", tuple(migrations), warnings=tuple(warnings))


def version(name: str) -> int:
    """What the ledger of refinery calls a file of that name."""
    match = re.match(r"[UV](\d+)", name)
    return int(match[1]) if match else 0
