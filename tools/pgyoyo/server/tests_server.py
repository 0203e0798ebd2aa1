"""Where the tests' own server lives: .postgres/tests, which is in memory where there is room.

A clone is some 300 new files: 10 ms in memory, ten times that on a slow disk. A restart of the machine empties memory.
"""

import fcntl
import hashlib
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from pgyoyo.errors import ServerError
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


def home(root: Path) -> Path:
    """The home of the tests' server of the project in `root`: a folder, or a link to one in memory, made if need be.

    Sweeps what other projects left in memory. Raises ServerError for a folder of another user.
    """
    place = root / ".postgres" / "tests"
    sweep(keep=place)
    memory = _in_memory(place)
    with suppress(OSError):  # what is wrong with the place itself, the server reports
        if place.is_symlink() and place.readlink() != memory:
            place.unlink()  # the project was moved
        if not (place.is_dir() or place.is_symlink()) and shutil.disk_usage(MEMORY).free >= ENOUGH:
            place.parent.mkdir(mode=0o711, exist_ok=True)
            place.symlink_to(memory)
    if place.is_symlink():
        with suppress(FileExistsError):
            memory.mkdir(mode=0o711)
        if not _is_ours(memory):  # everybody may write there
            raise ServerError(
                f"{memory} is not a folder of yours; have it removed, or remove {place} to put the server on the disk"
            )
        marker = memory / "place"
        if _content(marker) != os.fsencode(place):
            marker.unlink(missing_ok=True)
            marker.write_bytes(os.fsencode(place))
    return place


def sweep(keep: Path | None = None) -> list[Path]:
    """Stop and remove this user's servers in memory whose project is gone, was moved or cleaned; the folders removed."""
    removed = []
    for folder in MEMORY.glob(f"pgyoyo-{os.geteuid()}-*"):
        with suppress(OSError, ServerError):
            if not _is_ours(folder) or (owner := _content(folder / "place")) is None:
                continue
            place = Path(os.fsdecode(owner))
            if place != keep and not (place.is_symlink() and place.readlink() == folder):
                for version in made(folder):
                    EmbeddedServer(folder, version=version).stop()
                shutil.rmtree(folder)
                removed.append(folder)
    return removed


def stop(root: Path) -> list[int]:
    """Stop the tests' server that a failed test left running; the versions stopped. Raises ServerError while tests run."""
    place = root / ".postgres" / "tests"
    stopped = []
    for version in made(place):
        with (place / f"in-use-{version}").open("ab") as in_use:
            try:
                fcntl.flock(in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ServerError(f"tests are running on the server in {place}; end them first") from None
            if EmbeddedServer(place, version=version).stop():
                stopped.append(version)
    return stopped


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
