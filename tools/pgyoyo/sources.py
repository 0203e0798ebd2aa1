"""Where a program's migrations are: folders, or a package, also one in a zip file."""

import importlib.resources
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.resources.abc import Traversable
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType

from pgyoyo.errors import UsageError

# A folder, a package that holds the files, or a folder in one: importlib.resources.files("app") / "migrations".
Source = str | os.PathLike[str] | ModuleType | Traversable
Sources = Source | Sequence[Source]


@contextmanager
def folders_of(sources: Sources) -> Iterator[list[str]]:
    """The folders on disk, in the order given; those of a zip file are copied for as long as this lasts.

    Raises UsageError for what names no folder.
    """
    given = list(sources) if isinstance(sources, Sequence) and not isinstance(sources, str) else [sources]
    if not given:
        raise UsageError("no folder of migrations is given")
    with ExitStack() as stack:
        yield [_folder(source, stack) for source in given]


def _folder(source: Source, stack: ExitStack) -> str:
    if isinstance(source, (str, os.PathLike)):
        return os.fspath(source)
    if isinstance(source, ModuleType):
        if not hasattr(source, "__path__"):
            raise UsageError(f"the module {source.__name__} is a file; give a package, or the folder of the migrations")
        source = importlib.resources.files(source)
    if not (hasattr(source, "iterdir") and hasattr(source, "joinpath")):
        raise UsageError(f"migrations are a {type(source).__name__}; give a folder, several, or a package")
    if not source.is_dir():
        raise UsageError(f'there is no folder "{source}" of migrations')
    place = Path(stack.enter_context(TemporaryDirectory(prefix="pgyoyo-")))
    # A package may be several folders (a namespace), or in a zip file.
    for file in source.iterdir():
        if file.is_file():
            (place / file.name).write_bytes(file.read_bytes())
    return str(place)
