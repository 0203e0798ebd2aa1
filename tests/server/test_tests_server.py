"""Where the tests' own server lives, and what becomes of it when its project goes."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pgyoyo.errors import ServerError
from pgyoyo.server import tests_server
from pgyoyo.server.postgres import EmbeddedServer


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr(tests_server, "MEMORY", folder)
    monkeypatch.setattr(tests_server, "ENOUGH", 1)
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def test_home_is_a_link_to_memory(memory: Path, project: Path) -> None:
    home = tests_server.home(project)
    assert home == project / ".postgres" / "tests"
    assert home.resolve().parent == memory
    assert tests_server.home(project) == home
    shutil.rmtree(home.resolve())  # as after a restart
    assert tests_server.home(project).is_dir()
    assert len(list(memory.iterdir())) == 1


def test_home_is_on_the_disk_where_memory_is_short(
    memory: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tests_server, "ENOUGH", 1 << 60)
    home = tests_server.home(project)
    assert not home.exists()
    assert home.resolve() == home
    monkeypatch.setattr(tests_server, "MEMORY", project / "none")
    assert tests_server.home(project) == home


@pytest.mark.parametrize("how", ["removed", "cleaned", "moved"])
def test_what_is_in_memory_for_a_project_that_is_gone_is_swept(how: str, memory: Path, project: Path) -> None:
    gone = project.with_name("gone")
    gone.mkdir()
    left = tests_server.home(gone).resolve()
    here = tests_server.home(project).resolve()
    if how == "moved":
        gone.rename(gone.with_name("moved"))
    else:
        shutil.rmtree(gone if how == "removed" else gone / ".postgres")
    assert tests_server.sweep() == [left]
    assert list(memory.iterdir()) == [here]


def test_moved_project_gets_a_home_of_its_own(memory: Path, project: Path) -> None:
    tests_server.home(project)
    moved = project.rename(project.with_name("moved"))
    home = tests_server.home(moved)
    assert [folder.name for folder in memory.iterdir()] == [home.readlink().name]
    assert (home / "place").read_text() == str(home)


def test_what_somebody_else_put_there_is_neither_opened_nor_removed(memory: Path, project: Path) -> None:
    mine = f"pgyoyo-{os.geteuid()}-"
    (memory / f"{mine}fifo").mkdir()
    os.mkfifo(memory / f"{mine}fifo" / "place")  # whoever opens it waits for ever
    (memory / f"{mine}link").symlink_to(project)
    (memory / f"{mine}file").write_text("")
    (memory / f"{mine}place").mkdir()
    (memory / f"{mine}place" / "place").symlink_to("/etc/hostname")
    before = sorted(memory.iterdir())
    assert tests_server.sweep() == []
    assert sorted(memory.iterdir()) == before


@pytest.mark.parametrize("kind", ["link", "file"])
def test_home_is_refused_where_its_name_in_memory_is_no_folder_of_ours(kind: str, memory: Path, project: Path) -> None:
    place = tests_server._in_memory(project / ".postgres" / "tests")
    if kind == "link":
        place.symlink_to(project)
    else:
        place.write_text("")
    with pytest.raises(ServerError, match=rf"^{place} is not a folder of yours; have it removed, or remove "):
        tests_server.home(project)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file of another user")
def test_folder_of_another_user_is_refused_and_not_swept(memory: Path, project: Path) -> None:
    home = tests_server.home(project)
    os.chown(home.resolve(), 12345, 12345)
    with pytest.raises(ServerError, match="is not a folder of yours"):
        tests_server.home(project)
    shutil.rmtree(project)
    assert tests_server.sweep() == []


def test_server_that_a_failed_test_left_is_stopped_but_not_under_a_run(project: Path) -> None:
    assert tests_server.stop(project) == []
    version = int(os.environ["PGYOYO_SERVER_VERSION"])
    home = tests_server.home(project)
    server = EmbeddedServer(home, version=version, settings=tests_server.FAST)
    try:
        server.ensure_running(lambda line: None)
        with (home / f"in-use-{version}").open("ab") as in_use:
            fcntl.flock(in_use, fcntl.LOCK_SH)
            with pytest.raises(ServerError, match=r"tests are running on the server in .*/tests; end them first"):
                tests_server.stop(project)
        assert server.is_running()
        assert tests_server.stop(project) == [version]
        assert not server.is_running()
        assert tests_server.stop(project) == []
    finally:
        server.stop()
        shutil.rmtree(home.resolve())


def test_a_run_needs_nothing_of_pytest_to_stop_it() -> None:
    code = "import sys; from pgyoyo.server import tests_server; print({'pytest', 'psycopg'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
