"""What is left where a file can't be written: a full disk, a folder or a file that is closed, something else in its place."""

import errno
import os
import resource
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pgyoyo import whole_file
from pgyoyo.cli import output
from pgyoyo.errors import UsageError
from pgyoyo.migrations import scaffold
from pgyoyo.schema import files

OLD = "-- pgyoyo schema: old\n"


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file grows beyond so many bytes: what fits is written, then a write fails, as on a full disk."""
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    caches, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # Python would keep a module's cache that was cut
    try:
        yield
    finally:
        sys.dont_write_bytecode = caches
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


WRITERS: dict[str, Callable[[Path, str], object]] = {
    "whole file": lambda path, text: whole_file.write(path, text.encode()),
    "output": lambda path, text: output.write(str(path), text),
    "schema": lambda path, text: files.write({path: text}),
    "in place": lambda path, text: whole_file.write(path, text.encode()),
    "new": lambda path, text: scaffold.write_new(path.parent, {"0001_a.sql": "short", "0001_a.rollback.sql": text}),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_full_disk_leaves_the_old_file_and_nothing_beside_it(
    writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "schema.sql"
    path.write_text(OLD)
    if writer == "in place":
        monkeypatch.setattr(Path, "replace", mounted)
    with full_disk(10_000), pytest.raises(UsageError, match="File too large"):
        WRITERS[writer](path, "x" * 20_000)
    assert (path.read_text(), os.listdir(tmp_path)) == (OLD, ["schema.sql"])  # noqa: PTH208 - names


def mounted(self: Path, target: Path) -> Path:
    raise OSError(errno.EBUSY, "Device or resource busy", str(self), None, str(target))


def test_file_that_is_mounted_by_itself_is_written_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "schema.sql"
    monkeypatch.setattr(Path, "replace", mounted)
    for before, after in (("a long one", "short"), ("short", "a long one")):
        path.write_text(before)
        inode = path.stat().st_ino
        whole_file.write(path, after.encode())
        assert (path.read_text(), path.stat().st_ino, len(list(tmp_path.iterdir()))) == (after, inode, 1)
    with pytest.raises(UsageError, match=r"new\.sql: cannot be written: Device or resource busy"):
        whole_file.write(tmp_path / "new.sql", b"")


def test_file_that_may_not_be_written_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "schema.sql"
    path.write_text(OLD)
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everything
    with pytest.raises(UsageError, match=r"schema\.sql: cannot be written: Permission denied"):
        whole_file.write(path, b"new")
    assert (path.read_text(), len(list(tmp_path.iterdir()))) == (OLD, 1)


def test_mode_owner_and_link_stay_as_they_are(tmp_path: Path) -> None:
    real, link, dangling = tmp_path / "real.md", tmp_path / "link.md", tmp_path / "dangling.md"
    real.touch(mode=0o640)
    link.symlink_to(real)
    dangling.symlink_to("made.md")
    owner = (1234, 5678) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    os.chown(real, *owner)
    for path in (link, dangling):
        whole_file.write(path, b"new")
    facts = real.stat()
    assert (real.read_bytes(), stat.S_IMODE(facts.st_mode), (facts.st_uid, facts.st_gid)) == (b"new", 0o640, owner)
    assert (link.is_symlink(), dangling.is_symlink(), (tmp_path / "made.md").read_bytes()) == (True, True, b"new")


@pytest.mark.parametrize("name", ["\xe4" * 127, "a" * 251 + ".sql", "-rf", "a\nb", os.fsdecode(b"\xff\xfe")])
def test_any_name_that_a_file_may_have_is_one_that_is_written(name: str, tmp_path: Path) -> None:
    whole_file.write(tmp_path / name, b"a")
    whole_file.write(tmp_path / name, b"new")
    whole_file.write_new({tmp_path / f"n{name[1:]}": b"new"})
    assert sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir()) == sorted(
        [(name, b"new"), (f"n{name[1:]}", b"new")]
    )


def test_new_file_takes_no_place_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("elsewhere")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for name in ("dangling", "folder", "fifo"):
        with pytest.raises(FileExistsError) as raised:
            whole_file.write_new({tmp_path / "a": b"", tmp_path / name: b""})
        assert raised.value.filename == str(tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {"dangling", "folder", "fifo"}
    with pytest.raises(UsageError, match="folder: cannot be written: Is a directory"):
        whole_file.write(tmp_path / "folder", b"new")


def test_rename_that_fails_without_hard_links_leaves_no_empty_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    for name in ("hardlink_to", "rename"):
        monkeypatch.setattr(Path, name, fail)
    with pytest.raises(OSError, match="Input/output error"):
        whole_file.write_new({tmp_path / "a": b"new"})
    assert not list(tmp_path.iterdir())


def test_what_is_no_regular_file_is_written_to(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[bytes] = []
    thread = threading.Thread(target=lambda: read.append(fifo.read_bytes()))
    thread.start()
    whole_file.write(fifo, b"new")
    thread.join(10)
    assert (read, stat.S_ISFIFO(fifo.stat().st_mode)) == ([b"new"], True)


def test_open_file_is_written_to_behind_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "summary.md"
    path.write_bytes(b"old ")
    with path.open("ab") as file:
        whole_file.write(Path(f"/dev/fd/{file.fileno()}"), b"new")
    assert (path.read_bytes(), len(list(tmp_path.iterdir()))) == (b"old new", 1)
