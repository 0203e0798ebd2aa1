"""Runs whose files make roles wait for each other on the project's own scratch server, and nobody else does."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event

import psycopg
import pytest

from pgyoyo.console import Console
from pgyoyo.engine.connection import end
from pgyoyo.migrations import reader
from pgyoyo.migrations.migration import Migration
from pgyoyo.scratch import rights, turns


class Listening(Console):
    """Knows whether there was a note."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.noted = Event()

    def note(self, text: str) -> None:
        assert "waiting for another run on the scratch server" in text
        self.noted.set()


@pytest.fixture
def sessions(server_conninfo: str) -> Iterator[list[psycopg.Connection]]:
    """Three sessions, the last of which does not know that the server is the project's own."""
    own = rights.on_own_server(server_conninfo)
    with ExitStack() as stack:
        yield [stack.enter_context(psycopg.connect(text, autocommit=True)) for text in (own, own, server_conninfo)]


@pytest.mark.parametrize("how", ["ended", "killed"])
def test_run_that_makes_roles_waits_until_another_has_ended(
    how: str, sessions: list[psycopg.Connection], tmp_path: Path
) -> None:
    (tmp_path / "1_role.sql").write_text("CREATE ROLE app;")
    (tmp_path / "2_table.sql").write_text("CREATE TABLE t ();")
    role, table = ([migration] for migration in reader.read([str(tmp_path)]).migrations)
    first, second, elsewhere = sessions
    listening = Listening()

    def run(admin: psycopg.Connection, migrations: list[Migration]) -> None:
        with turns.taken(admin, migrations, listening), turns.taken(admin, migrations, listening):
            pass  # a run may take its turn within its turn

    with ThreadPoolExecutor(1) as pool:
        with turns.taken(first, role, Console(quiet=True)):
            run(second, table)
            run(elsewhere, role)
            assert not listening.noted.is_set()
            waiting = pool.submit(run, second, role)
            assert listening.noted.wait(60)
            assert not waiting.done()
            if how == "killed":
                end(first)
        waiting.result(60)
    held = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND pid = ANY (%s)"
    assert not elsewhere.execute(held, [[conn.info.backend_pid for conn in (second, elsewhere)]]).fetchall()
