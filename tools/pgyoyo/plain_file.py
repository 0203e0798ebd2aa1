"""The bytes of a file that a name of ours stands for, and nothing else: a FIFO of that name would never end."""

import errno
import os
import stat
from pathlib import Path

# yoyo/scripts/newmigration.py calls so what an editor session is to fill: no reader of a folder of migrations takes it.
YOYO_TEMPORARY = "_tmp_yoyonew"
KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}  # fmt: skip


def kind(mode: int) -> str:
    """What a thing that is no regular file is, by the mode that stat() gives."""
    return KINDS.get(stat.S_IFMT(mode), "not a regular file")


def read(path: Path) -> bytes:
    """All bytes; raises OSError whose strerror is for a person, FileNotFoundError only where there is nothing at all."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket is not opened
            raise OSError(errno.EINVAL, "it is a socket, not a file", str(path)) from None
        if error.errno in (errno.ENOENT, errno.ELOOP) and path.is_symlink():
            words = f"it is a link to {path.readlink()}, which can't be opened ({error.strerror})"
            raise OSError(errno.EINVAL, words, str(path)) from None
        raise
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, f"it is {kind(mode)}, not a file", str(path))
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)
