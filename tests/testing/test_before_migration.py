"""A database just before one migration, as `migration_db` gives it."""

from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psycopg
from psycopg import sql

from pgyoyo.migrations import reader
from pgyoyo.testing import history
from pgyoyo.testing.clones import Clones


def test_session_behind_a_file_is_as_one_that_begins_now(
    conn: psycopg.Connection, database: str, tmp_path: Path
) -> None:
    name = sql.Identifier(conn.info.dbname).as_string(conn)
    (tmp_path / "0001_a.sql").write_text(f"ALTER DATABASE {name} SET shop.currency = 'EUR';")
    (tmp_path / "0001_a.rollback.sql").write_text(f"ALTER DATABASE {name} RESET shop.currency;")
    clones = cast(
        "Clones", SimpleNamespace(template=lambda _: database, with_roles=lambda _, folders: nullcontext(folders))
    )
    before = history.before("0001", reader.read([str(tmp_path)]), lambda _: database, clones)
    seen = []
    for step in (lambda: None, before.apply, before.rollback):
        step()
        seen.append(before.conn.execute("SELECT current_setting('shop.currency', true)").fetchone())
    before.conn.close()
    assert seen == [(None,), ("EUR",), (None,)]
