"""Where a project keeps migrations of yoyo's, for a command that looks in another folder."""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pgyoyo.migrations.migration import ROLLBACK

_SKIPPED = frozenset(
    ("node_modules", "venv", "env", "site-packages", "__pycache__", "build", "dist", "target", "vendor")
)
_DEPTH, _MOST = 5, 2000
_PYTHON = re.compile(rb"(?m)^(?:from[ \t]+yoyo[ \t]+import\b[^\r\n]*\bstep\b|import[ \t]+yoyo\b)")
_SQL = re.compile(rb"(?im)^--[ \t]*(?:depends|transactional)[ \t]*:")
_READ = 4096


class Places(NamedTuple):
    """Folders with migrations, and those with a yoyo.ini; both from the project's own folder."""

    folders: Sequence[Path]
    settings: Sequence[Path]


def look(root: Path) -> Places:
    """What lies below a folder, as far as names and first lines show; hidden and installed ones are left out."""
    folders: list[Path] = []
    settings: list[Path] = []
    for folder, names in _walk(root):
        if "yoyo.ini" in names:
            settings.append(folder.relative_to(root))
        if any(_is_migration(folder, name, names) for name in sorted(names)):
            folders.append(folder.relative_to(root))
    return Places(sorted(folders), sorted(settings))


def _walk(root: Path) -> Iterator[tuple[Path, Collection[str]]]:
    for count, (here, below, names) in enumerate(os.walk(root)):
        folder = Path(here)
        deep = len(folder.relative_to(root).parts) >= _DEPTH
        kept = [] if deep else [name for name in below if not name.startswith(".") and name not in _SKIPPED]
        below[:] = sorted(name for name in kept if not _is_environment(folder / name))
        yield folder, set(names)
        if count >= _MOST:
            return


def _is_environment(folder: Path) -> bool:
    try:
        return (folder / "pyvenv.cfg").exists()
    except OSError:  # closed to this account
        return False


def _is_migration(folder: Path, name: str, names: Collection[str]) -> bool:
    if name.endswith(ROLLBACK):
        return name.removesuffix(ROLLBACK) + ".sql" in names
    pattern = {".py": _PYTHON, ".sql": _SQL}.get(Path(name).suffix)
    if pattern is None:
        return False
    try:
        with (folder / name).open("rb") as file:
            return pattern.search(file.read(_READ)) is not None
    except OSError:
        return False
