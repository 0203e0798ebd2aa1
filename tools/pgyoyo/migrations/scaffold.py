"""New migration files."""

import re
from collections.abc import Sequence
from pathlib import Path

from pgyoyo.errors import UsageError
from pgyoyo.migrations.migration import HOOK, ROLLBACK
from pgyoyo.migrations.reader import YOYO_TEMPORARY

_NAME = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*")

_APPLY = """\
-- {sentence}.
--
-- depends: {depends}

"""
_FIRST = """\
-- {sentence}.

"""
_ROLLBACK = """\
-- Undo {id}: the exact mirror, last things first.

"""


def write(folder: Path, name: str) -> list[Path]:
    """Write NNNN_NAME.sql and its rollback file, depending on the last migration there; the paths written.

    Both are empty but for their headers: rolling back is refused until the rollback file has a statement. Raises
    UsageError for a name that is no lower_case_words; never overwrites.
    """
    if not _NAME.fullmatch(name):
        wanted = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_").lstrip("_0123456789") or "add_grade"
        raise UsageError(
            f'"{name}" is not a valid migration name; use lower-case words with underscores, such as {wanted}'
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = sorted(path.name for path in folder.iterdir())
        texts = _texts(names, name)
        for file_name in texts:
            if file_name in names:
                raise UsageError(f"{folder / file_name} already exists; rename or delete it first")
        for file_name, text in texts.items():
            with (folder / file_name).open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be written: {error.strerror}") from None
    return [folder / file_name for file_name in texts]


def _texts(names: Sequence[str], name: str) -> dict[str, str]:
    """The next two files by name, for a folder with these names in it."""
    ids = [
        file_name.removesuffix(".sql")
        for file_name in names
        if file_name.endswith(".sql")
        and not file_name.endswith(ROLLBACK)
        and not file_name.startswith((HOOK, YOYO_TEMPORARY))
    ]
    numbers = [match[0] for last_id in ids if (match := re.match(r"[0-9]+", last_id))]
    number = max(map(int, numbers), default=0) + 1
    migration_id = f"{number:0{max(map(len, numbers), default=4)}d}_{name}"
    sentence = name.replace("_", " ").capitalize()
    # Ids in a directive are separated by spaces, so an id with a space can't stand there.
    last = ids[-1] if ids and not re.search(r"\s", ids[-1]) else None
    return {
        f"{migration_id}.sql": (_APPLY if last else _FIRST).format(sentence=sentence, depends=last),
        f"{migration_id}{ROLLBACK}": _ROLLBACK.format(id=migration_id),
    }
