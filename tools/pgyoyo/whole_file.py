"""Files written whole or not at all: a full disk, a kill or another writer leaves what was there."""

import errno
import os
import stat
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from io import FileIO
from pathlib import Path

from pgyoyo.errors import UsageError
from pgyoyo.plain_file import YOYO_TEMPORARY

# Why a folder takes no new file, or no other one in the place of a file that is mounted by itself, as Docker does.
_ONLY_IN_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY, errno.EXDEV)


def write(path: Path, data: bytes) -> None:
    """Replace the content of a file, or make it, by a new one that is renamed once it is on the disk.

    Its mode and owner and a link to it stay; a file that may not be written is not replaced. Where only the file itself can
    be written, not its folder, that is done, and on failure the old content put back. What is no regular file is written to,
    and /dev/stdout, which may be one, behind what is there. Raises UsageError; then the old file is as it was.
    """
    try:
        if _is_stream(path):
            with path.open("ab") as file:
                file.write(data)
            return
        path = Path(os.path.realpath(path))
        if path.is_symlink():
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if not path.exists():
            _replace(path, data, None)
            return
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        try:
            _replace(path, data, path.stat())
        except OSError as error:
            if error.errno not in _ONLY_IN_PLACE:
                raise
            _write_in_place(path, data)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None


def write_new(contents: Mapping[Path, bytes]) -> None:
    """Write all files, complete, or none, and never over another: they get their names when all are on the disk.

    Raises OSError with the name of the file, FileExistsError for one that is there.
    """
    temporary = {path: _beside(path) for path in contents}
    path = Path()
    try:
        with ExitStack() as remains, ExitStack() as named:
            for path, data in contents.items():
                remains.callback(temporary[path].unlink, missing_ok=True)
                _make(temporary[path], data)
            for path, source in temporary.items():
                _give_name(source, path)
                named.callback(path.unlink)
            named.pop_all()
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def _is_stream(path: Path) -> bool:
    """Whether it is no regular file, or stands for an open one: /dev/stdout, /dev/fd/1."""
    folder = os.path.realpath(path.parent)
    return (path.exists() and not path.is_file()) or folder == "/dev" or folder.startswith("/proc/")


def _beside(path: Path) -> Path:
    """A name in the same folder that nobody guesses, and that is not too long where that of the file isn't."""
    return path.with_name(f"{YOYO_TEMPORARY}-{os.urandom(8).hex()}")


def _make(path: Path, data: bytes, like: os.stat_result | None = None) -> None:
    """Write a file that was not there, with the owner and mode of another, as far as that is allowed."""
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        if like:
            if os.fstat(file.fileno())[stat.ST_UID : stat.ST_SIZE] != like[stat.ST_UID : stat.ST_SIZE]:
                with suppress(PermissionError):
                    os.fchown(file.fileno(), -1, like.st_gid)
                    os.fchown(file.fileno(), like.st_uid, -1)
            os.fchmod(file.fileno(), stat.S_IMODE(like.st_mode))
        os.fsync(file.fileno())


def _replace(path: Path, data: bytes, like: os.stat_result | None) -> None:
    temporary = _beside(path)
    try:
        _make(temporary, data, like)
        temporary.replace(path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def _write_in_place(path: Path, data: bytes) -> None:
    before = path.read_bytes()
    with FileIO(path, "r+") as file:
        try:
            _fill(file, data)
        except OSError:
            with suppress(OSError):
                _fill(file, before)
            raise


def _fill(file: FileIO, data: bytes) -> None:
    """Let the file hold these bytes; its end is cut last, so that there is room for the old ones."""
    file.seek(0)
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
    file.truncate()
    os.fsync(file.fileno())


def _give_name(source: Path, path: Path) -> None:
    """Rename a file, but never over another one."""
    try:
        path.hardlink_to(source)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        path.touch(exist_ok=False)
        try:
            source.rename(path)
        except OSError:
            path.unlink()
            raise
