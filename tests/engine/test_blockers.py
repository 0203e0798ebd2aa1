"""Who is in the way, also for a role that may not see it: every column of pg_stat_activity may be NULL."""

import hashlib
import itertools
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgyoyo.engine.blockers import Blocker

FACTS = {
    "kind": "client backend", "application": "shop", "role": "ann", "state": "active", "query": "SELECT 1", "age": 1.5,
    "holds": "AccessShareLock", "wants": "AccessExclusiveLock", "object": "t",
}  # fmt: skip


@pytest.mark.parametrize("kind", [None, "client backend", "autovacuum worker", "walsender", "background worker"])
def test_any_fact_of_a_session_may_be_unknown(kind: str | None) -> None:
    names = [name for name in FACTS if name != "kind"]
    for count in range(len(names) + 1):
        for hidden in itertools.combinations(names, count):
            facts = FACTS | {"kind": kind} | dict.fromkeys(hidden)
            words = str(Blocker(pid=4711, **facts))
            assert words.startswith("pid 4711 (")
            assert "None" not in words


def test_autovacuum_is_called_that_and_has_no_role() -> None:
    facts = FACTS | {
        "kind": "autovacuum worker",
        "role": None,
        "application": None,
        "query": "autovacuum: VACUUM public.t",
    }
    assert str(Blocker(pid=1, **facts)).startswith("pid 1 (autovacuum worker (autovacuum: VACUUM public.t))")


def test_password_in_a_blockers_query_is_hidden() -> None:
    assert "s3cr3t" not in str(Blocker(pid=1, **FACTS | {"query": "ALTER ROLE ann PASSWORD $$s3cr3t"}))


@pytest.fixture
def plain_role(conn: psycopg.Connection) -> Iterator[str]:
    """The conninfo of a role without pg_monitor that may create in the database."""
    name = f"plain_{uuid.uuid4().hex[:8]}"
    role, dbname = sql.Identifier(name), sql.Identifier(conn.info.dbname)
    conn.execute(sql.SQL("CREATE ROLE {} LOGIN").format(role))
    conn.execute(sql.SQL("GRANT ALL ON DATABASE {} TO {}; GRANT ALL ON SCHEMA public TO {}").format(dbname, role, role))
    yield make_conninfo(conn.info.dsn, user=name)
    conn.execute(sql.SQL("DROP OWNED BY {}; DROP ROLE {}").format(role, role))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "0001_a.sql").write_text("CREATE TABLE a (n int);")
    (folder / "0002_b.sql").write_text("ALTER TABLE a ADD m int;")
    return folder


def test_session_of_another_role_in_the_way_is_named_as_far_as_it_is_seen(
    plain_role: str, conn: psycopg.Connection, files: Path, run
) -> None:
    options = ("--migrations", files, "--database", plain_role)
    assert run("apply", "--to", "1", *options).code == 0
    with conn.transaction():
        conn.execute("SELECT FROM a")
        result = run("apply", "--give-up-after", "1s", *options)
    assert result.code == 1
    assert f"pid {conn.info.backend_pid} (no application name, role {conn.info.user}) holds ACCESS SHARE" in result.err
    assert "None" not in result.err


def test_another_roles_runner_is_named_as_far_as_it_is_seen(
    plain_role: str, conn: psycopg.Connection, files: Path, run
) -> None:
    options = ("--migrations", files, "--database", plain_role)
    assert run("apply", "--to", "1", *options).code == 0
    key = int.from_bytes(hashlib.sha256(b"pgyoyo\0public").digest()[:8], "big", signed=True)
    conn.execute("SELECT pg_advisory_lock(%s)", [key])
    result = run("apply", "--wait", "0s", *options)
    assert result.code == 5
    who = f"pid {conn.info.backend_pid} (no application name, user {conn.info.user})"
    assert f"the database is locked by {who}; waited 0 s" in result.err
