"""Why folders hold no migrations, and where they may be."""

import errno
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from pgyoyo.errors import UsageError, closest
from pgyoyo.migrations import foreign
from pgyoyo.text import printable_line


def no_folder(folder: str, error: OSError) -> UsageError:
    """The error of a folder that can't be read; names one beside it that was probably meant."""
    what = {errno.ENOENT: "does not exist", errno.ENOTDIR: "is a file, not a folder"}.get(
        error.errno or 0, f"cannot be read: {error.strerror}"
    )
    head = f'the migrations folder "{folder}" {what}'
    if error.errno == errno.ENOENT and (near := _beside(Path(folder))):
        return UsageError(f"{head}; did you mean {printable_line(str(near))}?")
    return UsageError(
        f"{head}; pass --migrations DIR or set migrations under [tool.pgyoyo]; a new project begins with `pgyoyo init`"
    )


def no_migrations(folders: Sequence[str], subfolders: Iterable[Path]) -> UsageError:
    """The error of folders without a migration; `subfolders` are theirs, of which none is read."""
    below = sorted(subfolders)
    try:
        tool = foreign.of_folders(below)
    except OSError:  # one that this account can't look into
        tool = None
    if tool:
        return UsageError(
            f"the folders in {', '.join(folders)} are {tool}'s; "
            f"`pgyoyo import {tool.lower()} FOLDER` writes both files for each"
        )
    head = f"no migrations in {', '.join(folders)}"
    try:
        deeper = next(chain.from_iterable((*f.glob("*.sql"), *f.glob("*/*.sql")) for f in below), None)
    except OSError:  # one that this account can't look into
        deeper = None
    if deeper:
        place = printable_line(str(deeper.parent))
        return UsageError(f"{head}, but in {place}, and subfolders are not read; pass --migrations {place}")
    return UsageError(f'{head}; write the first with "pgyoyo new NAME", or name another folder: --migrations DIR')


def _beside(missing: Path) -> Path | None:
    try:
        names = [path.name for path in missing.parent.iterdir() if path.is_dir()]
    except OSError:
        return None
    near = closest(missing.name, names, cutoff=0.8)
    return missing.with_name(near) if near else None
