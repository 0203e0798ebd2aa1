"""Our own statements are safe under any search_path: whatever stands in front of pg_catalog, only pg_catalog's is called."""

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

import hostile
from pgyoyo.backfill import tables as backfill_tables
from pgyoyo.catalog import rows, snapshot
from pgyoyo.engine import blockers, ledger_tables, lock
from pgyoyo.errors import LockedError
from pgyoyo.queries import named
from pgyoyo.review import observation, target
from pgyoyo.scratch import defaults

FILES = {
    "0001_t": ("CREATE TABLE app.t (i integer, v integer);", "DROP TABLE app.t;"),
    "0002_index": (
        "-- transactional: false\nCREATE INDEX CONCURRENTLY t_i ON app.t (i);\nCOMMENT ON TABLE app.t IS 'T';",
        "-- transactional: false\nCOMMENT ON TABLE app.t IS NULL;\nDROP INDEX CONCURRENTLY app.t_i;",
    ),
    "0003_fill": (
        "INSERT INTO app.t SELECT g FROM pg_catalog.generate_series(1, 20000) AS g;",
        "TRUNCATE app.t;",
    ),
    "0004_backfill": ("-- backfill: batched\nUPDATE app.t SET v = 1 WHERE v IS NULL;", "-- irreversible: rows keep v"),
}


@pytest.fixture
def evil(conn: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A session beside; at the end nothing of the hostile schema was called."""
    hostile.shadow(conn)
    yield conn
    assert hostile.calls(conn) == 0


@pytest.fixture
def victim(evil: psycopg.Connection, database: str) -> Iterator[psycopg.Connection]:
    """A session whose search_path begins with the hostile schema, as a superuser's would."""
    with psycopg.connect(database, autocommit=True) as conn:
        assert conn.execute("SHOW search_path").fetchone() == (hostile.PATH,)
        yield conn


@pytest.fixture
def pgyoyo(evil: psycopg.Connection, database: str, tmp_path: Path, run_here) -> Callable[..., str]:
    """Runs a command on the database; its output."""
    folder = tmp_path / "sql"
    folder.mkdir()
    for name, (apply, rollback) in FILES.items():
        (folder / f"{name}.sql").write_text(apply + "\n")
        (folder / f"{name}.rollback.sql").write_text(rollback + "\n")

    def pgyoyo(*words: str, code: int = 0) -> str:
        result = run_here(*words, "--database", database, "--migrations", folder)
        assert result.code == code, result.err
        assert hostile.calls(evil) == 0, words
        return result.out

    return pgyoyo


def test_the_hostile_schema_is_called_by_a_statement_that_is_not_safe(conn: psycopg.Connection, database: str) -> None:
    """The control of the tests below."""
    hostile.shadow(conn)
    unsafe = (
        "SELECT 'a'::varchar = 'b'::varchar",
        "SELECT current_user = session_user",
        "SELECT now()",
        "SELECT 1 + 1",
        "SELECT quote_ident('a')",
        "SELECT 'a'::text",
        "SELECT * FROM pg_class",
        "SELECT pg_catalog.pg_backend_pid() IN (2, 3)",
        "SELECT nullif(1, 2)",
        "SELECT -pg_catalog.pg_backend_pid()",
        "SELECT to_regclass('a')",
    )
    with psycopg.connect(database, autocommit=True) as victim:
        for number, query in enumerate(unsafe, start=1):
            with pytest.raises(errors.RaiseException, match="was called"):
                pytest.fail(f"{query} gives {victim.execute(query.encode()).fetchall()}")
            assert hostile.calls(conn) == number, query
        for query in ("SELECT count(*) FROM pg_catalog.pg_class", "SELECT max(oid) FROM pg_catalog.pg_class"):
            with pytest.raises((errors.RaiseException, errors.WrongObjectType)):
                victim.execute(query.encode())


def test_no_command_calls_anything_of_a_hostile_schema(
    pgyoyo: Callable[..., str], evil: psycopg.Connection, database: str, tmp_path: Path
) -> None:
    pgyoyo("status")
    assert "BEGIN" in pgyoyo("apply", "--dry-run")
    assert "4 applied, none pending" in pgyoyo("apply")
    assert "nothing to do" in pgyoyo("apply")
    assert "0001_t" in pgyoyo("status", "--format", "json")
    pgyoyo("unmark", "4")
    pgyoyo("mark", "4")
    pgyoyo("unmark", "4")
    pgyoyo("apply")
    pgyoyo("rollback", code=1)
    pgyoyo("unmark", "4")
    pgyoyo("redo", "--count", "2")
    pgyoyo("rollback", "--all", "--dry-run")
    edited = tmp_path / "sql" / "0001_t.sql"
    edited.write_text(edited.read_text() + "-- edited\n")
    pgyoyo("apply", code=4)
    pgyoyo("repair", "1")
    pgyoyo("rollback", "--all", "--yes")
    pgyoyo("apply", "--single-transaction", "--to", "1")
    assert evil.execute("SELECT count(*) FROM app._yoyo_migration").fetchone() == (1,)


def test_an_interrupted_index_is_looked_up_safely(pgyoyo: Callable[..., str], evil: psycopg.Connection) -> None:
    pgyoyo("apply", "--to", "1")
    evil.execute("INSERT INTO app.t VALUES (1), (1)")
    folder_failure = "CREATE UNIQUE INDEX CONCURRENTLY t_i ON app.t (i)"
    with pytest.raises(errors.UniqueViolation):
        evil.execute(folder_failure)
    checksum = hashlib.sha256(b"CREATE INDEX CONCURRENTLY t_i ON app.t (i)").hexdigest()
    evil.execute(
        "INSERT INTO app._pgyoyo_journal (migration_hash, statement, migration_id, operation, checksum, state) "
        "VALUES (encode(sha256('0002_index'), 'hex'), 1, '0002_index', 'apply', %s, 'started')",
        [checksum],
    )
    assert "2 applied, 2 pending" in pgyoyo("apply", "--to", "2")


def test_waiting_for_a_lock_and_naming_its_holder_is_safe(
    evil: psycopg.Connection, victim: psycopg.Connection, database: str
) -> None:
    notes: list[str] = []
    with (
        lock.hold(evil, "app", wait=1.0, say=notes.append),
        pytest.raises(LockedError, match="locked by pid"),
        lock.hold(victim, "app", wait=0.1, say=notes.append),
    ):
        pass
    ledger_tables.ensure_lock_table(victim, "app")
    ledger_tables.ensure(victim, "app")
    with lock.hold(victim, "app", wait=0.1, say=notes.append), lock.row(victim, "app", wait=0.1, say=notes.append):
        assert evil.execute("SELECT count(*) FROM app.yoyo_lock").fetchone() == (1,)
    evil.execute("INSERT INTO app.yoyo_lock VALUES (1, now(), 42)")
    with pytest.raises(LockedError, match="plain yoyo"), lock.row(victim, "app", wait=0.1, say=notes.append):
        pass
    lock.sweep(victim, "app")
    assert lock.found_after_loss(database, "app", "x", notes.append) is False


def test_looking_who_is_in_the_way_is_safe(evil: psycopg.Connection, victim: psycopg.Connection, database: str) -> None:
    evil.execute("CREATE TABLE app.t (i integer)")
    evil.execute("BEGIN; LOCK TABLE app.t")
    pid = victim.info.backend_pid
    watcher = blockers.Watcher()
    watcher.begin(victim)
    victim.pgconn.send_query(b"LOCK TABLE app.t; SELECT 1")
    deadline = time.monotonic() + 30
    while not watcher.seen and time.monotonic() < deadline:
        watcher.look()
        time.sleep(0.02)
    assert watcher.seen[0].pid == evil.info.backend_pid
    watcher.close()
    evil.execute("ROLLBACK")
    while victim.pgconn.get_result():
        pass
    with psycopg.connect(database, autocommit=True) as asking:
        query = named(blockers._QUERIES)["blockers"]
        assert asking.execute(query.encode(), {"pid": pid}).fetchall() == []


def test_reading_catalog_and_rows_is_safe(evil: psycopg.Connection, victim: psycopg.Connection) -> None:
    evil.execute("CREATE TABLE app.t (i integer PRIMARY KEY, v text); INSERT INTO app.t VALUES (1, 'a')")
    evil.execute("CREATE TABLE app.big AS SELECT i FROM generate_series(1, 1001) AS i")
    assert ("table", "app.t") in snapshot.snapshot(victim)
    found = rows.rows(victim)
    assert [found[name].count for name in ("app.t", "app.big")] == [1, 1001]
    with victim.transaction():
        assert ("table", "app.t") in snapshot.snapshot(victim)


def test_reviewing_a_target_is_safe(evil: psycopg.Connection, victim: psycopg.Connection) -> None:
    evil.execute("CREATE TABLE app.t (i integer)")
    assert list(target.tables(victim, ["app.t", "app.none"])) == ["app.t"]
    target.activity(victim)
    assert target.timezone(victim)


def test_reading_what_sessions_begin_with_is_safe(evil: psycopg.Connection, victim: psycopg.Connection) -> None:
    assert defaults.read(victim, (), "app").stored["search_path"] == hostile.PATH


def test_observing_a_rehearsal_is_safe(evil: psycopg.Connection, victim: psycopg.Connection) -> None:
    evil.execute("CREATE TABLE app.t (i integer)")
    observation.between(victim)
    assert "app.t" in {entry.name for entry in observation.relations(victim).values()}
    observation.locks(victim, evil.info.backend_pid)
    for names in (None, ["t"]):
        assert victim.execute(named(observation.REHEARSAL)["tables_of"], {"names": names}).fetchall()


VALUES = {
    "table": "app.t", "only": False, "columns": ["v"], "functions": ["lower"], "view": "app.v", "tables": [1], "oid": 1,
    "name": "t",
}  # fmt: skip


def test_queries_of_a_backfill_are_safe(evil: psycopg.Connection, victim: psycopg.Connection) -> None:
    """Those that the backfill above has no need of; the ones that write it sends itself."""
    evil.execute("CREATE TABLE app.t (i integer, v text); CREATE VIEW app.v AS SELECT * FROM app.t")
    for name, query in backfill_tables.queries().items():
        if "{schema}" in query or (name == "may_skip_triggers" and victim.info.server_version < 150000):
            continue
        values = {key: value for key, value in VALUES.items() if f"%({key})s" in query}
        victim.execute(query.encode(), values or None)


def test_login_s_search_path_is_there_when_a_file_begins(
    evil: psycopg.Connection, pgyoyo: Callable[..., str], tmp_path: Path
) -> None:
    evil.execute("CREATE TABLE app.seen (path text)")
    text = "INSERT INTO app.seen VALUES (pg_catalog.current_setting('search_path'));\n"
    for number, header in ((5, ""), (6, "-- transactional: false\n")):
        (tmp_path / "sql" / f"000{number}_path.sql").write_text(header + text)
    pgyoyo("apply")
    assert evil.execute("SELECT * FROM app.seen").fetchall() == [(hostile.PATH,)] * 2
