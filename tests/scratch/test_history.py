"""Copies of a history at its points share what was read of the catalog."""

from contextlib import ExitStack
from pathlib import Path

import staging
from conftest import Owner
from pgyoyo.catalog import snapshot
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
    assert read == [None, 0, 2, 1, 2, 0, 4, 0]
