"""pytest-postgresql's own fixtures on the same server: migrated once into its template, a fresh clone for each test."""

import os
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from pytest_postgresql import factories

from pgyoyo import settings
from pgyoyo.console import Console
from pgyoyo.migrations import reader
from pgyoyo.migrator import Migrator


def migrate(**target: str) -> None:
    here = settings.load(database=settings.EMBEDDED, migrations=(), environ={}, directory=Path(__file__).parent)
    with psycopg.connect(**{name: value for name, value in target.items() if value}, autocommit=True) as conn:
        Migrator(conn, reader.read(here.migrations), Console(quiet=True)).apply()


@pytest.fixture(scope="session")
def server_options(pytestconfig: pytest.Config, server_conninfo: str) -> None:
    facts = conninfo_to_dict(server_conninfo)
    for name in ("host", "port", "user", "password"):
        setattr(pytestconfig.option, f"postgresql_{name}", facts.get(name))


migrated_noproc = factories.postgresql_noproc(dbname=f"noproc_{os.getpid()}_", load=[migrate])
clone = factories.postgresql("migrated_noproc")


@pytest.fixture
def migrated_clone(server_options: None, request: pytest.FixtureRequest) -> psycopg.Connection:
    return request.getfixturevalue("clone")


@pytest.mark.parametrize("turn", [1, 2])
def test_postgresql_noproc_gives_each_test_a_fresh_migrated_clone(
    migrated_clone: psycopg.Connection, turn: int
) -> None:
    assert migrated_clone.execute("SELECT count(*) FROM cj_batch_uploads").fetchone() == (0,)
    migrated_clone.execute(
        "INSERT INTO cj_batch_uploads (bos_batch_id, event_correlation_id, language, course_code, expected_essay_count)"
        " VALUES ('b', 'c', 'en', 'ENG5', 3)"
    )
    migrated_clone.commit()
