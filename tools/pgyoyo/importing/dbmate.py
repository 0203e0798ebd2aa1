"""dbmate: one file a migration, its two directions under `-- migrate:up` and `-- migrate:down`."""

import re
from pathlib import Path
from typing import NamedTuple

from pgyoyo.errors import UsageError
from pgyoyo.importing.source import Imported, Project, Section, files_of, ids, refuse_twins, text_of

FOLDERS = ("db/migrations", "migrations")
# dbmate's pkg/dbmate/migration.go: the version is the digits that the name begins with.
_NAME = re.compile(r"(\d+).*\.sql")
_MARK = re.compile(r"(?m)^--[ \t]*migrate:(up|down)\b([^\r\n]*)\r?\n?")


def read(folder: Path) -> Project:
    """The migrations of a folder; raises UsageError for a file without `-- migrate:up`."""
    paths = [path for path in files_of(folder) if _NAME.fullmatch(path.name)]
    refuse_twins((version(path.name), path.name) for path in paths)
    made = ids([path.stem for path in paths])
    blocks = [_blocks(path) for path in paths]
    migrations = (_migration(path, name, own) for path, name, own in zip(paths, made, blocks, strict=True))
    # Seen with dbmate 2.36: each further block fails on the version's second row in the ledger, and is rolled back.
    more = [
        f"{path}: dbmate applies only its first `-- migrate:up` block, so the others were left out"
        for path, own in zip(paths, blocks, strict=True)
        if [block.way for block in own].count("up") > 1
    ]
    return Project("dbmate", tuple(migrations), warnings=tuple(more))


def version(name: str) -> str:
    """What dbmate's ledger calls a file of that name."""
    match = _NAME.fullmatch(name)
    return match[1] if match else name


class _Block(NamedTuple):
    """What stands under a mark, or above the first one."""

    way: str
    options: str
    text: str


def _blocks(path: Path) -> list[_Block]:
    text = text_of(path)
    marks = list(_MARK.finditer(text))
    if not any(mark[1] == "up" for mark in marks):
        raise UsageError(
            f'{path}: no "-- migrate:up" line; dbmate does not read it either: add it, or move the file away'
        )
    ends = [*(mark.start() for mark in marks[1:]), len(text)]
    above = _Block("", "", text[: marks[0].start()])
    return [above, *(_Block(mark[1], mark[2], text[mark.end() : end]) for mark, end in zip(marks, ends, strict=True))]


def _migration(path: Path, migration_id: str, blocks: list[_Block]) -> Imported:
    above, up, down = (next((block for block in blocks if block.way == way), None) for way in ("", "up", "down"))
    assert above
    assert up
    comments = above.text.strip()
    apply = _section(up)
    apply = Section(f"{comments}\n\n{apply.text}", apply.transactional) if comments else apply
    return Imported(migration_id, path.name, apply, _section(down) if down else None)


def _section(block: _Block) -> Section:
    return Section(block.text.strip("\r\n") + "\n", "transaction:false" not in block.options.split())
