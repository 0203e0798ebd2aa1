"""The calls of `import pgyoyo`: values in, values out, and nothing else."""

import asyncio
import importlib
import os
import signal
import subprocess
import sys
import threading
import zipfile
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlencode

import psycopg
import pytest
import yoyo
from psycopg.conninfo import conninfo_to_dict

import pgyoyo
from pgyoyo import errors


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two migrations with their rollbacks."""
    place = tmp_path / "migrations"
    place.mkdir()
    for number, name in ((1, "a"), (2, "b")):
        (place / f"000{number}_{name}.sql").write_text(f"CREATE TABLE {name} ();")
        (place / f"000{number}_{name}.rollback.sql").write_text(f"DROP TABLE {name};")
    return place


class Heard(pgyoyo.Observer):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def ran(self, verb: str, migration_id: str, duration: float) -> None:
        assert duration >= 0
        self.lines.append(f"{verb} {migration_id}")

    def notice(self, text: str) -> None:
        self.lines.append(text)


def test_apply_status_and_rollback_give_values_and_print_nothing(
    folder: Path, database: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before = (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), dict(os.environ), Path.cwd())
    heard = Heard()
    assert pgyoyo.pending(database, folder) == ("0001_a", "0002_b")
    with (folder / "0002_b.sql").open("a") as file:
        file.write("DO $$ BEGIN RAISE NOTICE 'made with %', 'password=hunter2'; END $$;")
    done = pgyoyo.apply(database, folder, to="1", observer=heard)
    assert (done.ids, done.status.pending, done.warnings) == (("0001_a",), ("0002_b",), ())
    assert pgyoyo.apply(database, str(folder), observer=heard).ids == ("0002_b",)
    assert pgyoyo.apply(database, [folder]).ids == ()
    status = pgyoyo.status(database, folder)
    assert [row.id for row in status.applied] == ["0001_a", "0002_b"]
    assert status.is_at_head
    assert status.applied[0].at
    assert pgyoyo.rollback(database, folder, everything=True, observer=heard).ids == ("0002_b", "0001_a")
    applied = ["applied 0001_a", "applied 0002_b", "NOTICE: made with password=*******"]
    assert heard.lines == [*applied, "rolled back 0002_b", "rolled back 0001_a"]
    assert capfd.readouterr() == ("", "")
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT), dict(os.environ), Path.cwd()) == before


def test_phases_of_a_deployment(folder: Path, database: str) -> None:
    (folder / "0002_b.sql").write_text("-- phase: contract\nDROP TABLE a;")
    done = pgyoyo.apply(database, folder, phase="expand")
    assert (done.ids, done.status.pending) == (("0001_a",), ("0002_b",))
    assert not pgyoyo.wait_until_applied(database, folder, phase="expand", wait=0).is_at_head
    with pytest.raises(errors.PendingError, match="0002_b"):
        pgyoyo.wait_until_applied(database, folder, wait=0)
    assert pgyoyo.apply(database, folder, phase="contract").ids == ("0002_b",)
    with pytest.raises(errors.UsageError, match='the phase is "both"'):
        pgyoyo.apply(database, folder, phase="both")
    with pytest.raises(errors.UsageError, match='the phase is "contact"'):
        pgyoyo.wait_until_applied(database, folder, phase="contact", wait=0)


def test_phases_beside_asyncio_and_plain_yoyo_which_knows_none(folder: Path, database: str) -> None:
    (folder / "0002_b.sql").write_text("-- phase: contract\nALTER TABLE a ADD COLUMN x int;")
    (folder / "0002_b.rollback.sql").write_text("ALTER TABLE a DROP COLUMN x;")
    assert asyncio.run(pgyoyo.aio.apply(database, folder, phase="expand")).ids == ("0001_a",)
    assert asyncio.run(pgyoyo.aio.wait_until_applied(database, folder, phase="expand", wait=0)).pending == ("0002_b",)
    facts = conninfo_to_dict(database)
    where = urlencode({name: facts[name] for name in ("host", "port", "password") if facts.get(name)})
    backend = yoyo.get_backend(f"postgresql+psycopg://{facts['user']}@/{facts['dbname']}?{where}")
    try:
        with backend.lock():
            backend.apply_migrations(backend.to_apply(yoyo.read_migrations(str(folder))))
    finally:
        backend.connection.close()
    assert asyncio.run(pgyoyo.aio.apply(database, folder, phase="contract")).ids == ()
    assert pgyoyo.rollback(database, folder).ids == ("0002_b",)
    assert asyncio.run(pgyoyo.aio.apply(database, folder, phase="contract")).ids == ("0002_b",)


def test_open_connection_names_the_target_and_is_left_as_it_is(folder: Path, conn: psycopg.Connection) -> None:
    conn.autocommit = False
    conn.execute("CREATE TABLE mine ()")
    assert pgyoyo.apply(conn, folder).ids == ("0001_a", "0002_b")
    conn.rollback()
    assert conn.execute("SELECT to_regclass('mine'), to_regclass('a')::text").fetchone() == (None, "a")
    conn.close()
    with pytest.raises(errors.UsageError, match="the connection is closed"):
        pgyoyo.status(conn, folder)


def test_url_of_an_engine_is_a_target(folder: Path, database: str) -> None:
    class EngineUrl:
        def render_as_string(self, hide_password: bool = True) -> str:
            assert not hide_password
            return database

    assert pgyoyo.pending(EngineUrl(), folder) == ("0001_a", "0002_b")


def test_migrations_may_be_a_package_also_in_a_zip_file(
    folder: Path, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "app.zip", "w") as archive:
        archive.writestr("zipped_app/__init__.py", "")
        archive.writestr("zipped_app/migrations/__init__.py", "")
        for path in folder.iterdir():
            archive.write(path, f"zipped_app/migrations/{path.name}")
    monkeypatch.syspath_prepend(tmp_path / "app.zip")
    app = importlib.import_module("zipped_app")
    package = importlib.import_module("zipped_app.migrations")
    assert pgyoyo.pending(database, package) == ("0001_a", "0002_b")
    assert pgyoyo.apply(database, files(app) / "migrations").ids == ("0001_a", "0002_b")
    with pytest.raises(errors.UsageError, match="there is no folder"):
        pgyoyo.status(database, files(app) / "elsewhere")
    with pytest.raises(errors.UsageError, match=r"the module pgyoyo\.errors is a file; give a package"):
        pgyoyo.status(database, errors)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: pgyoyo.status(3, "x"), "the target is a int; give a URL"),
        (lambda: pgyoyo.status("", 3), "migrations are a int; give a folder"),
        (lambda: pgyoyo.status("", []), "no folder of migrations is given"),
        (lambda: pgyoyo.status("", "/nowhere"), 'the migrations folder "/nowhere" does not exist'),
        (lambda: pgyoyo.rollback("", "x", ids="0001"), "give a list of ids"),
        (lambda: pgyoyo.rollback("", "x", count=1, to="0001"), "give one of ids, to, count and everything"),
    ],
)
def test_argument_that_cannot_be_meant_is_refused(call, words: str) -> None:
    with pytest.raises(errors.UsageError, match=words):
        call()


def test_failed_migration_raises_with_what_stands(folder: Path, database: str) -> None:
    (folder / "0003_c.sql").write_text("SELECT 1/0;")
    with pytest.raises(errors.StatementError, match="division by zero") as caught:
        pgyoyo.apply(database, folder)
    assert "0003_c" in caught.value.state
    assert pgyoyo.pending(database, folder) == ("0003_c",)


def test_waiting_ends_when_another_process_has_applied(folder: Path, database: str) -> None:
    with pytest.raises(errors.PendingError, match="still pending after 0 s: 0001_a, 0002_b"):
        pgyoyo.wait_until_applied(database, folder, wait=0)
    pgyoyo.apply(database, folder, to="0001")
    assert pgyoyo.wait_until_applied(database, folder, upto="0001", wait=0).pending == ("0002_b",)
    applier = threading.Thread(target=pgyoyo.apply, args=(database, folder))
    applier.start()
    assert pgyoyo.wait_until_applied(database, folder, wait=60, interval=0.01).is_at_head
    applier.join()


def test_loop_goes_on_while_a_call_waits(folder: Path, database: str) -> None:
    async def run() -> tuple[str, ...]:
        waiting = asyncio.create_task(pgyoyo.aio.wait_until_applied(database, folder, interval=0.01))
        done = await pgyoyo.aio.apply(database, folder)
        await waiting
        assert await pgyoyo.aio.pending(database, folder) == ()
        assert (await pgyoyo.aio.status(database, folder)).is_at_head
        return done.ids + (await pgyoyo.aio.rollback(database, folder, count=1)).ids

    assert asyncio.run(run()) == ("0001_a", "0002_b", "0002_b")


def test_command_waits(folder: Path, database: str, run_here) -> None:
    where = ("--database", database, "--migrations", folder)
    late = run_here("wait", *where, "--timeout", "0s")
    assert late.code == 3
    assert "still pending after 0 s: 0001_a, 0002_b" in late.err
    shown = run_here("wait", *where, "--timeout", "10ms").err
    assert shown.startswith("waiting 10 ms at most: still pending: 0001_a, 0002_b\nerror: still pending after 0.01 s")
    pgyoyo.apply(database, folder, to="0001")
    assert run_here("wait", *where, "--applied", "1", "--timeout", "0s").out == "1 applied, 1 pending.\n"
    assert run_here("wait", *where, "--applied", "7").code == 2


def test_package_alone_loads_nothing_of_its_own() -> None:
    probe = "import sys, pgyoyo; print([m for m in sys.modules if m.startswith(('pgyoyo.', 'psycopg', 'yoyo'))])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    assert {*pgyoyo.__all__} <= {name for name in pgyoyo.__all__ if getattr(pgyoyo, name)}
    with pytest.raises(AttributeError, match="no attribute 'aply'"):
        pgyoyo.aply  # noqa: B018
