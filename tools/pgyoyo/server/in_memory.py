"""Where servers live whose data may be lost at any time: in memory where there is room, else on the disk.

A database is some 300 new files: 10 ms in memory, ten times that on a slow disk. A restart of the machine empties memory.
"""

import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pgyoyo import whole_file
from pgyoyo.errors import ServerError, UsageError
from pgyoyo.server.postgres import EmbeddedServer, made

# Nothing in these databases has to survive a power cut.
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_wal_size": "128MB",
    "max_connections": "200",
    # The database, then the application, for what reads the statements in the log.
    "log_line_prefix": "%m [%p] %q%d %a ",
}
MEMORY = Path("/dev/shm")  # noqa: S108 - made by the system; what is ours in it is a folder of our own
ENOUGH = 1 << 30  # bytes; a container has 64 MB by default
LITTLE = 1 << 27  # with no more than these it begins on the disk; a new server takes a third of them


def home(place: Path) -> Path:
    """`place` itself, a server's home below a project's .postgres: a folder, or a link to one in memory, made if need be.

    It is on the disk where memory is short, or somebody made a folder of it. Sweeps what other projects left in memory, and
    what this one did where its link was removed. Raises ServerError where its name in memory is taken by another user.
    """
    sweep(keep=place)
    memory = _in_memory(place)
    with _locked(place.parent):
        with suppress(OSError, ServerError):  # what is wrong with the place itself, the server reports
            if place.is_symlink() and (place.readlink() != memory or not place.exists()):
                place.unlink()  # the project was moved; the machine was restarted
            if not (place.is_dir() or place.is_symlink()) and shutil.disk_usage(MEMORY).free >= ENOUGH:
                if memory.is_dir() and _is_ours(memory):
                    _remove(memory)  # its link was removed, and what is in it was to go
                place.symlink_to(memory)
        if place.is_symlink():
            with suppress(FileExistsError):
                memory.mkdir(mode=0o711)
            if not _is_ours(memory):  # everybody may write there
                raise ServerError(
                    f"{memory} is not a folder of yours; have it removed, or have the server on the disk: "
                    f"rm -f {place}; mkdir {place}"
                )
            marker = memory / "place"
            if _content(marker) != os.fsencode(place):
                marker.unlink(missing_ok=True)
                whole_file.write(marker, os.fsencode(place))
    return place


def leave_if_short(place: Path) -> None:
    """Move a home in memory that no server runs in, and that has hardly any room left, to the disk; what is in it is lost.

    It stays there, since what it needed may be just what filled the memory.
    """
    memory = _in_memory(place)
    with _locked(place.parent), suppress(OSError):
        is_there = place.is_symlink() and place.readlink() == memory and _is_ours(memory)
        if is_there and shutil.disk_usage(MEMORY).free < LITTLE and not any(_runs(memory)):
            place.unlink()
            shutil.rmtree(memory)
            place.mkdir(mode=0o711)


def _remove(folder: Path) -> None:
    for version in made(folder):
        EmbeddedServer(folder, version=version).stop()
    shutil.rmtree(folder)


def _runs(home: Path) -> Iterator[bool]:
    return (EmbeddedServer(home, version=version).is_running() for version in made(home))


def sweep(keep: Path | None = None) -> list[Path]:
    """Stop and remove this user's servers in memory whose project is gone, was moved or cleaned; the folders removed."""
    removed = []
    for folder in MEMORY.glob(f"pgyoyo-{os.geteuid()}-*"):
        with suppress(OSError, ServerError):
            if not _is_ours(folder) or (owner := _content(folder / "place")) is None:
                continue
            place = Path(os.fsdecode(owner))
            if place != keep and not (place.is_symlink() and place.readlink() == folder):
                _remove(folder)
                removed.append(folder)
    return removed


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder of a project's servers, made if need be, which git does not see; of two runs at once one waits."""
    descriptor = None
    with suppress(OSError, UsageError):  # the server reports it
        folder.mkdir(mode=0o711, exist_ok=True)
        if not (ignored := folder / ".gitignore").exists():
            whole_file.write(ignored, b"*\n")
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _in_memory(place: Path) -> Path:
    return MEMORY / f"pgyoyo-{os.geteuid()}-{hashlib.sha256(os.fsencode(place)).hexdigest()[:12]}"


def _is_ours(folder: Path) -> bool:
    facts = folder.lstat()
    return facts.st_uid == os.geteuid() and stat.S_ISDIR(facts.st_mode)


def _content(path: Path) -> bytes | None:
    """The content of a regular file of this user; None for anything else, which might not even end."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
        facts = os.fstat(descriptor)
        return file.read() if facts.st_uid == os.geteuid() and stat.S_ISREG(facts.st_mode) else None
