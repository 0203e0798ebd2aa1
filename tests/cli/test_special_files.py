"""A FIFO, a socket, a folder, a device or a link to nowhere in the place of a file: named at once, never skipped."""

import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pgyoyo.errors import UsageError
from pgyoyo.schema import files as schema
from pgyoyo.workload import files as workload


def listen(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(os.path.relpath(path))


KINDS: dict[str, tuple[Callable[[Path], object], str]] = {
    "fifo": (os.mkfifo, "FIFO"),
    "socket": (listen, "socket"),
    "folder": (Path.mkdir, "a folder"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "device"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "a link to nowhere, which can't be opened"),
    "loop": (lambda path: path.symlink_to(path.name), "a link to .*, which can't be opened"),
}
PLACES = (
    "m/0002_b.sql", "m/0001_a.rollback.sql", "m/post-apply.sql", "m/0002_b.py", "pgyoyo.toml", "yoyo.ini", "list",
)  # fmt: skip
SETTINGS = """[tool.pgyoyo]
migrations = ["m"]
[[tool.pgyoyo.fleet]]
name = "all"
databases = "list"
"""


@pytest.fixture(autouse=True)
def no_longer_than_ten_seconds() -> Iterator[None]:
    """Waiting for a FIFO would have no end."""
    handler = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, handler)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_named_where_a_file_of_ours_should_be(
    kind: str, run_here: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, words = KINDS[kind]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "0001_a.sql").write_text("SELECT 1;")
    settings = tmp_path / "pyproject.toml"
    for name in PLACES:
        path = tmp_path / name
        settings.write_text(SETTINGS)
        if name in ("pgyoyo.toml", "yoyo.ini"):
            settings.unlink()
        make(path)
        command = ("fleet", "status", "all", "--database", "host=nowhere") if name == "list" else ("check",)
        result = run_here(*command)
        assert (result.code, result.out) == (1 if "/" in name else 2, ""), (name, result.err)
        assert path.name in result.err
        assert re.search(words, result.err), (name, result.err)
        (path.rmdir if kind == "folder" else path.unlink)()


def test_it_is_named_where_a_file_is_written_or_collected(tmp_path: Path) -> None:
    for name in ("schema.sql", "a.sql"):
        os.mkfifo(tmp_path / name)
    with pytest.raises(UsageError, match=r"schema\.sql: it is a FIFO, not a file; give another folder"):
        schema.write({tmp_path / "schema.sql": ""})
    with pytest.raises(UsageError, match=r"a\.sql: it is a FIFO, not a file"):
        workload.queries(tmp_path)
