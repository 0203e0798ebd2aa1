"""A file written whole or not at all: a full disk leaves the one that was there."""

import os
import shutil
from pathlib import Path

from pgyoyo.errors import UsageError


def write(path: Path, data: bytes) -> None:
    """Replace the content of a file, or make it, by a new one that is renamed once it is on the disk.

    What is no regular file, as /dev/stdout or a FIFO, is written to. Raises UsageError; then the old file is as it was.
    """
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        path = path.resolve()
        # The name of what yoyo itself is about to write: no reader of a folder of migrations takes it.
        temporary = path.with_name(f"_tmp_yoyonew-{os.getpid()}-{path.name[:200]}")
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                shutil.copymode(path, temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
