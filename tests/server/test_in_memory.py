"""Where servers live whose data may be lost, and what becomes of them when their project goes."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pgyoyo.errors import ServerError
from pgyoyo.server import in_memory
from pgyoyo.server.postgres import EmbeddedServer


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr(in_memory, "MEMORY", folder)
    monkeypatch.setattr(in_memory, "ENOUGH", 1)
    return folder


def place(project: Path) -> Path:
    return project / ".postgres" / "tests"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def test_home_is_a_link_to_memory(memory: Path, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = in_memory.home(place(project))
    assert home == project / ".postgres" / "tests"
    assert home.resolve().parent == memory
    assert in_memory.home(place(project)) == home
    assert (home.parent / ".gitignore").read_text() == "*\n"
    shutil.rmtree(home.resolve())  # as after a restart
    assert in_memory.home(place(project)).is_dir()
    assert len(list(memory.iterdir())) == 1
    shutil.rmtree(home.resolve())
    monkeypatch.setattr(in_memory, "ENOUGH", 1 << 60)  # there is less room than before the restart
    assert in_memory.home(place(project)).resolve() == home
    assert list(memory.iterdir()) == []


def test_many_at_once_get_the_same_home(memory: Path, project: Path) -> None:
    for _ in range(20):
        with ThreadPoolExecutor(8) as pool:
            homes = set(pool.map(lambda _: in_memory.home(place(project)).resolve(strict=True), range(8)))
        assert homes == {*memory.iterdir()}
        assert (homes.pop() / "place").read_text() == str(place(project))
        shutil.rmtree(place(project).resolve())


def test_home_that_has_no_room_left_is_given_up_unless_a_server_runs_there(
    memory: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = in_memory.home(place(project))
    (home / "18" / "data").mkdir(parents=True)
    in_memory.leave_if_short(home)
    assert home.is_dir()
    monkeypatch.setattr(in_memory, "LITTLE", 1 << 60)
    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedServer, "is_running", lambda self: True)
        in_memory.leave_if_short(home)
        assert home.is_dir()
    in_memory.leave_if_short(home)
    assert list(memory.iterdir()) == []
    assert in_memory.home(place(project)).resolve() == home, "it stays on the disk, though there is room now"


def test_home_is_on_the_disk_where_memory_is_short(
    memory: Path, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(in_memory, "ENOUGH", 1 << 60)
    home = in_memory.home(place(project))
    assert not home.exists()
    assert home.resolve() == home
    monkeypatch.setattr(in_memory, "MEMORY", project / "none")
    assert in_memory.home(place(project)) == home


@pytest.mark.parametrize("how", ["removed", "cleaned", "moved"])
def test_what_is_in_memory_for_a_project_that_is_gone_is_swept(how: str, memory: Path, project: Path) -> None:
    gone = project.with_name("gone")
    gone.mkdir()
    left = in_memory.home(place(gone)).resolve()
    here = in_memory.home(place(project)).resolve()
    if how == "moved":
        gone.rename(gone.with_name("moved"))
    else:
        shutil.rmtree(gone if how == "removed" else gone / ".postgres")
    assert in_memory.sweep() == [left]
    assert list(memory.iterdir()) == [here]


@pytest.mark.parametrize("cleaned", [".postgres", ".postgres/tests"])
def test_cleaned_project_begins_with_an_empty_home(cleaned: str, memory: Path, project: Path) -> None:
    home = in_memory.home(place(project))
    (home / "18").mkdir()
    in_memory.home(place(project))
    assert {path.name for path in home.iterdir()} == {"18", "place"}
    # As rm -r and git clean do, which leave what a link leads to.
    place(project).unlink()
    if cleaned == ".postgres":
        shutil.rmtree(project / cleaned)
    in_memory.home(place(project))
    assert [path.name for path in home.iterdir()] == ["place"]


def test_moved_project_gets_a_home_of_its_own(memory: Path, project: Path) -> None:
    in_memory.home(place(project))
    moved = project.rename(project.with_name("moved"))
    home = in_memory.home(place(moved))
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
    assert in_memory.sweep() == []
    assert sorted(memory.iterdir()) == before


@pytest.mark.parametrize("kind", ["link", "file"])
def test_home_is_refused_where_its_name_in_memory_is_no_folder_of_ours(kind: str, memory: Path, project: Path) -> None:
    taken = in_memory._in_memory(place(project))
    if kind == "link":
        taken.symlink_to(project)
    else:
        taken.write_text("")
    with pytest.raises(ServerError, match=rf"^{taken} is not a folder of yours; have it removed, or have the server "):
        in_memory.home(place(project))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a file of another user")
def test_folder_of_another_user_is_refused_and_not_swept(memory: Path, project: Path) -> None:
    home = in_memory.home(place(project))
    os.chown(home.resolve(), 12345, 12345)
    with pytest.raises(ServerError, match="is not a folder of yours"):
        in_memory.home(place(project))
    shutil.rmtree(project)
    assert in_memory.sweep() == []
