"""The folders that a name or a pattern stands for."""

import os
import re
from glob import glob
from pathlib import Path

_PATTERN = re.compile(r"[*?\[]")


def places(folder: str) -> list[Path]:
    """The folder, or as in yoyo (_expand_sources) those that a pattern stands for, sorted; none where it fits none.

    A part of the path that is there under that very name is no pattern: p[1]/m is not the p1/m beside it.
    """
    path = Path(folder)
    if not _PATTERN.search(folder) or os.path.isdir(folder):  # noqa: PTH112 - any text
        return [path]
    fitting = [Path()]
    for part in path.parts:
        fitting = [inside for place in fitting for inside in _inside(place, part)]
    return [place for place in fitting if place == path or os.path.lexists(place)]


def _inside(place: Path, part: str) -> list[Path]:
    path = place / part
    if not _PATTERN.search(part) or os.path.lexists(path):
        return [path]
    return [place / name for name in sorted(glob(part, root_dir=place))]  # noqa: PTH207 - sorted, hidden ones left out
