"""Databases that are copied and dropped: sessions that are about to end are waited for."""

import psycopg
import pytest

from pgyoyo.scratch import databases


def test_session_that_is_about_to_end_is_waited_for(admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    with databases.database(admin) as conninfo, psycopg.connect(conninfo) as conn:
        name = conn.info.dbname
        monkeypatch.setattr(databases.time, "sleep", lambda _: conn.close())
        databases._let_go(admin, name, 60)
        assert conn.closed
