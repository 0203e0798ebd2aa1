"""The server for scratch databases: started when it is needed, with new data where the old won't do."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from own_server import pristine
from pgyoyo.server import postgres, scratch_server
from pgyoyo.server.postgres import EmbeddedServer

VERSION = int(os.environ["PGYOYO_SERVER_VERSION"])


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project whose data directories are copies, which takes less time than initdb."""

    source = pristine(VERSION)

    def copy(*made: object, **_: object) -> None:
        subprocess.run(["cp", "-a", source, str(made[2])], check=True)

    monkeypatch.setattr(postgres, "make_data", copy)
    # Not pytest's own folder: where there is no room in memory the server's account has to pass.
    folder = Path(tempfile.mkdtemp(prefix="pgyoyo-scratch-"))
    folder.chmod(0o711)
    yield folder
    scratch_server.stop(folder)
    shutil.rmtree(scratch_server.place(folder).resolve())
    shutil.rmtree(folder)


def test_server_begins_with_new_data_where_the_old_can_not_be_trusted_or_will_not_do(root: Path) -> None:
    lines: list[str] = []

    def start() -> EmbeddedServer:
        lines.clear()
        return scratch_server.running(root, version=VERSION, programs=None, say=lines.append)

    def ask(query: str) -> list[object]:
        with psycopg.connect(server.conninfo("postgres"), autocommit=True) as conn:
            cursor = conn.execute(query.encode())
            return [value for (value,) in cursor.fetchall()] if cursor.description else []

    server = start()
    words = [f"made {server.data}", f"started PostgreSQL {VERSION} in {server.folder}"]
    assert lines == [f"{line} (for scratch databases)" for line in words]
    assert ask("SHOW fsync") == ["off"]
    ask("CREATE DATABASE kept")
    kept = "SELECT datname FROM pg_database WHERE datname = 'kept'"
    start()
    assert lines == []
    assert scratch_server.stop(root) == [VERSION]
    assert scratch_server.stop(root) == []
    start()
    assert (ask(kept), lines) == (["kept"], [f"{words[1]} (for scratch databases)"])
    # What was not written to the disk before a power cut looks like this.
    os.kill(int((server.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
    while server.is_running():
        pass
    start()
    assert (ask(kept), len(lines)) == ([], 2)
    ask("ALTER SYSTEM SET shared_preload_libraries = 'no_such_library'")
    scratch_server.stop(root)
    start()
    assert ask("SHOW shared_preload_libraries") == [""]
    assert sorted(path.name for path in server.folder.iterdir()) == ["data", "log"]
