import errno
import os
import stat
import threading
from pathlib import Path

import pytest

from pgyoyo import whole_file
from pgyoyo.cli import output
from pgyoyo.errors import UsageError
from pgyoyo.schema import files


def test_full_disk_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "schema.sql"
    path.write_text("-- pgyoyo schema: old\n")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for write in (
        lambda: whole_file.write(path, b"new"),
        lambda: output.write(str(path), "new"),
        lambda: files.write({path: "new"}),
    ):
        with pytest.raises(UsageError, match="No space left on device"):
            write()
        assert (path.read_text(), [each.name for each in tmp_path.iterdir()]) == (
            "-- pgyoyo schema: old\n",
            ["schema.sql"],
        )


def test_mode_and_link_stay_as_they_are(tmp_path: Path) -> None:
    real, link = tmp_path / "real.md", tmp_path / "link.md"
    real.touch(mode=0o640)
    link.symlink_to(real)
    whole_file.write(link, b"new")
    assert (link.is_symlink(), real.read_bytes(), stat.S_IMODE(real.stat().st_mode)) == (True, b"new", 0o640)


def test_what_is_no_regular_file_is_written_to(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[bytes] = []
    thread = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    thread.start()
    whole_file.write(fifo, b"new")
    thread.join(10)
    assert (read, stat.S_ISFIFO(fifo.stat().st_mode)) == ([b"new"], True)
