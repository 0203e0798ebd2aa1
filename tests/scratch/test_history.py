"""Copies of a history at its points share what was read of the catalog."""

from contextlib import ExitStack
from pathlib import Path

import pytest

import staging
from conftest import Owner
from pgyoyo.catalog import snapshot
from pgyoyo.engine import connection, parts, which_ledger
from pgyoyo.engine.observer import SILENT
from pgyoyo.migrations import plan, reader
from pgyoyo.scratch import databases
from pgyoyo.scratch.history import History


def test_a_copy_reads_only_what_differs_from_the_one_before(owner: Owner, tmp_path: Path) -> None:
    for n in range(6):
        staging.write(tmp_path, {f"{n:04}_m": (f"CREATE TABLE t{n} (id integer PRIMARY KEY);", f"DROP TABLE t{n};")})
    order = plan.order(reader.read([str(tmp_path)]).migrations)
    read = []
    with databases.server(owner.conninfo) as admin, ExitStack() as stack:
        history = History(admin, order, SILENT, stack)
        for at, change in (
            (4, "DROP TABLE t0"),
            (5, "ALTER TABLE t1 RENAME TO other"),
            (6, "SELECT 1"),
            (4, "SELECT 1"),
        ):
            with history.fresh(at) as copy:
                for statement in ("SELECT 1", change):
                    copy.conn.execute(statement.encode())
                    copy.changed()
                    assert copy.snapshot(owners=True) == snapshot.snapshot(copy.conn, owners=True)
                    read.append(copy.catalog.relations)
    # What the copy before had changed, and the tables made since; the last one is made of migrations that ran again.
    assert read == [4, 0, 2, 1, 2, 0, 4, 0]


def test_what_is_known_of_a_history_is_not_asked_of_its_copies(
    owner: Owner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        staging.write(tmp_path, {f"{n:04}_m": (f"CREATE TABLE t{n} (id integer PRIMARY KEY);", f"DROP TABLE t{n};")})
    order = plan.order(reader.read([str(tmp_path)]).migrations)
    asked, sessions = [], []
    for module, name in ((parts, "database_sees_messages"), (which_ledger, "present")):
        kept = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda conn, *args, kept=kept: asked.append(kept.__name__) or kept(conn, *args)
        )
    connect = connection.connect
    monkeypatch.setattr(connection, "connect", lambda conninfo, **more: sessions.append(1) or connect(conninfo, **more))
    with databases.server(owner.conninfo) as admin, ExitStack() as stack:
        history = History(admin, order, SILENT, stack)
        with history.fresh(2) as copy:
            copy.run(order[2], "apply")
        before, opened = len(asked), len(sessions)
        for _ in range(2):
            with history.fresh(2) as copy:
                copy.run(order[2], "apply")
        assert asked[before:] == []
        assert len(sessions) - opened == 2, "the history's own session stays closed"
        with history.fresh(2) as copy:
            copy.conn.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            copy.reopen()
            copy.run(order[2], "apply")  # its ledger is made again
