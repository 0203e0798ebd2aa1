"""New migration files."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pgyoyo import whole_file
from pgyoyo.errors import PgyoyoError, UsageError
from pgyoyo.migrations import plan, reader, style
from pgyoyo.migrations.migration import HOOK, PYTHON, ROLLBACK
from pgyoyo.migrations.places import places
from pgyoyo.plain_file import YOYO_TEMPORARY
from pgyoyo.sql.header import CONTRACT, EXPAND

_NAME = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*")

_ROLLBACK = """\
-- Undo {id}: the exact mirror, last things first.

"""


def merged_branches(folder: Path) -> list[str]:
    """The last migrations of merged branches, which the next one brings together; none where nothing was merged."""
    try:
        return plan.merged_heads(plan.order(reader.read([str(folder)]).migrations))
    except PgyoyoError:
        return []


def write(folder: Path, name: str, *, now: datetime | None = None, prefix: str = "", phase: str = "") -> list[Path]:
    """Write NNNN_NAME.sql, or a name like those there, and its rollback file, depending on the last one; the paths written.

    After a merge that left several last ones, it depends on them all; one of the expand phase on no contract migration. Both
    files are empty but for their headers: rolling back is refused until the rollback file has a statement. Raises UsageError
    for a name that is no lower_case_words; never overwrites, and a failure leaves neither file.
    """
    if not _NAME.fullmatch(name):
        wanted = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_").lstrip("_0123456789") or "add_grade"
        raise UsageError(
            f'"{name}" is not a valid migration name; use lower-case words with underscores, such as {wanted}'
        )
    folder = _one_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        names = sorted(path.name for path in folder.iterdir())
        texts = {
            folder / file_name: text
            for file_name, text in _texts(folder, names, name, now or datetime.now(UTC), prefix, phase).items()
        }
        for path in texts:
            if path.name in names:
                raise UsageError(f"{path} already exists; rename or delete it first")
        _write_all(texts)
    except OSError as error:
        raise UsageError(
            f"{error.filename2 or error.filename or folder}: cannot be written: {error.strerror}"
        ) from None
    return list(texts)


def following(folder: Path) -> tuple[list[str], list[str]]:
    """The ids of the migrations that are there, and those that the next one depends on."""
    folder = _one_folder(folder)
    ids = _ids(sorted(path.name for path in folder.iterdir()) if folder.exists() else ())
    return ids, [last_id for last_id in _heads(folder, ids, EXPAND) if not re.search(r"\s", last_id)]


def write_new(folder: Path, texts: Mapping[str, str]) -> list[Path]:
    """Write files by name into a folder, which is made where it is missing; the paths written.

    Raises UsageError, and leaves none of them, where one is there already or can't be written.
    """
    folder = _one_folder(folder)
    paths = {folder / name: text for name, text in texts.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in paths:
            if path.exists():
                raise UsageError(f"{path} already exists; move it away, or give another folder: --migrations DIR")
        _write_all(paths)
    except OSError as error:
        raise UsageError(
            f"{error.filename2 or error.filename or folder}: cannot be written: {error.strerror}"
        ) from None
    return list(paths)


def _one_folder(folder: Path) -> Path:
    """The folder itself, or the only one that it stands for as a pattern."""
    matches = [path for path in places(str(folder)) if path == folder or path.is_dir()]
    if len(matches) == 1:
        return matches[0]
    raise UsageError(
        f'"{folder}" stands for {len(matches)} folders; name the one for the new files with --migrations DIR'
    )


def _write_all(texts: Mapping[Path, str]) -> None:
    whole_file.write_new({path: text.encode() for path, text in texts.items()})


def _texts(folder: Path, names: Sequence[str], name: str, now: datetime, prefix: str, phase: str) -> dict[str, str]:
    """The next two files by name, for a folder with these names in it."""
    ids = _ids(names)
    migration_id = style.next_id(ids, name, now, prefix=prefix)
    sentence = name.replace("_", " ").capitalize()
    # Ids in a directive are separated by spaces, so an id with a space can't stand there.
    depends = " ".join(last_id for last_id in _heads(folder, ids, phase) if not re.search(r"\s", last_id))
    directives = [f"-- depends: {depends}"] * bool(depends) + [f"-- phase: {phase}"] * bool(phase)
    header = "\n".join([f"-- {sentence}.", *(["--", *directives] if directives else ())])
    return {
        f"{migration_id}.sql": f"{header}\n\n",
        f"{migration_id}{ROLLBACK}": _ROLLBACK.format(id=migration_id),
    }


def _ids(names: Sequence[str]) -> list[str]:
    """The ids of the migrations among the names of files."""
    return [
        file_name.rpartition(".")[0]
        for file_name in names
        if file_name.endswith((".sql", PYTHON))
        and file_name != "__init__.py"
        and not file_name.endswith(ROLLBACK)
        and not file_name.startswith((HOOK, YOYO_TEMPORARY))
    ]


def _heads(folder: Path, ids: Sequence[str], phase: str) -> list[str]:
    """What the next migration depends on; where the files have defects, the last by name."""
    try:
        ordered = plan.order(reader.read([str(folder)]).migrations)
        return plan.heads([m for m in ordered if phase != EXPAND or m.apply.header.phase != CONTRACT])
    except PgyoyoError:
        return list(ids[-1:])
