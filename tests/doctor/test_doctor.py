"""What doctor sees is a line with what to do; it writes nothing, and its exit code says whether something stops."""

import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "sql" / "migrations"
    folder.mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text("[tool.pgyoyo]\n")
    for number, name in enumerate("ab", start=1):
        (folder / f"000{number}_{name}.sql").write_text(f"CREATE TABLE {name} (id int);\n")
        (folder / f"000{number}_{name}.rollback.sql").write_text(f"DROP TABLE {name};\n")
    return folder


@pytest.fixture
def doctor(database: str, run_here: Callable) -> Callable:
    return lambda *args: run_here("doctor", *(args or ("--database", database)))


def test_healthy_project_has_only_good_lines_and_nothing_is_written(
    project: Path, conn: psycopg.Connection, database: str, doctor: Callable, run_here: Callable
) -> None:
    first = doctor()
    assert (first.code, "ledger      none, and the database is empty; pgyoyo apply" in first.out) == (0, True)
    assert conn.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").fetchone() == (0,)
    run_here("apply", "--database", database)
    second = doctor()
    assert (second.code, {line.split()[0] for line in second.out.splitlines()}) == (0, {"ok"})
    assert "in schema public: 2 applied, none pending." in second.out
    content = json.loads(doctor("--database", database, "--format", "json").out)
    assert (content["ok"], {*content["lines"][0]}) == (True, {"level", "topic", "text", "advice"})


@pytest.mark.parametrize(
    ("change", "level", "words"),
    [
        ("UPDATE _pgyoyo_migration SET checksum = 'x' WHERE migration_id LIKE '0002%'", "fault",
         "0002_b was edited after it was applied; restore it, or accept it: pgyoyo repair 0002_b"),
        ("DROP TABLE _pgyoyo_migration, _pgyoyo_journal, _pgyoyo_backfill", "note",
         "plain yoyo applied 0001_a and 0002_b, so their texts are not recorded; pgyoyo adopt"),
        ("DELETE FROM _yoyo_migration WHERE migration_id LIKE '0001%'", "warning", "pending before an applied one: 0001_a"),
        ("INSERT INTO _yoyo_migration VALUES ('c', '0009_gone', now())", "warning", "applied, but no file here: 0009_gone"),
        ("INSERT INTO _yoyo_migration VALUES ('c', '0002_b.rolback', now())", "fault",
         "plain yoyo ran 0002_b.rolback forwards, which was to roll back 0002_b; pgyoyo unmark 0002_b.rolback, and 0002_b"),
        ("INSERT INTO _pgyoyo_journal VALUES ('c', 2, '0009_c', 'apply', '', now(), 'started')", "warning",
         "0009_c was interrupted at statement 2; pgyoyo apply resumes it"),
        ("INSERT INTO yoyo_lock VALUES (1, now(), 4711)", "warning", "yoyo's lock is held by process 4711 since"),
        ("INSERT INTO yoyo_lock VALUES (1, now(), -4711)", "note", "a lock row of a dead pgyoyo is left; the next apply"),
        ("CREATE SCHEMA other; CREATE TABLE other._yoyo_migration (LIKE _yoyo_migration)", "warning",
         "schema other has a ledger too; compare them"),
        ("CREATE TABLE alembic_version (version_num text)", "note", "public.alembic_version is left from alembic"),
        ("DROP TABLE _yoyo_migration", "warning", "none, though the database has tables (public._pgyoyo_backfill and"),
        ("CREATE RULE r AS ON INSERT TO _yoyo_migration DO ALSO NOTHING", "fault", 'this ledger is not used: public'),
    ],
)  # fmt: skip
def test_state_of_the_ledger_is_a_line_with_what_to_do(
    change: str,
    level: str,
    words: str,
    project: Path,
    conn: psycopg.Connection,
    database: str,
    doctor: Callable,
    run_here: Callable,
) -> None:
    run_here("apply", "--database", database)
    conn.execute(change)
    result = doctor()
    lines = [line for line in result.out.splitlines() if words in line]
    assert [line.split()[0] for line in lines] == [level], result.out
    assert result.code == ("\nfault" in result.out)


def test_files_that_would_be_refused_and_other_tools_are_named(
    project: Path, tmp_path: Path, database: str, doctor: Callable
) -> None:
    (project / "0003_c.sql").write_text("CREATE EXTENSION no_such_thing;\nCREATE EXTENSION IF NOT EXISTS plpgsql;\n")
    (project / "0004_d.sql").write_text("VACUUM;\n")
    (project / "0005_e.py").write_text("from yoyo import step\nsteps = [step('SELECT 1')]\n")
    (project / "0006_f.py").write_text("from yoyo import step\ndef f(conn): ...\nsteps = [step(f)]\n")
    (tmp_path / "db" / "migrations").mkdir(parents=True)
    (tmp_path / "db" / "migrations" / "1_a.sql").write_text("-- migrate:up\n")
    out = doctor().out
    for words in (
        "fault    files       sql/migrations/0004_d.sql:1: VACUUM can't run in a transaction",
        "warning  files       no rollback file: 0003_c and",
        f"for scratch databases, in {tmp_path / '.postgres' / 'scratch'}, does not run; the command that needs it starts it",
        ", for scratch databases too, has no no_such_thing",
        "fault    extensions  the server has no no_such_thing",
        "note     python      1 migration in Python whose SQL is known: 0005_e",
        "warning  python      sql/migrations/0006_f.py:",
    ):
        assert words in out, out
    empty = doctor("--database", database, "--migrations", "nowhere").out
    assert 'the migrations folder "nowhere" does not exist' in empty
    assert "db/migrations looks like dbmate's; pgyoyo import dbmate db/migrations" in empty


@pytest.mark.parametrize(
    ("table", "tool", "source"),
    [
        ("schema_migrations (version bigint, dirty boolean)", "golang-migrate", "golang-migrate"),
        ("schema_migrations (version varchar)", "dbmate", "dbmate"),
        ("schema_migrations (version bigint, inserted_at timestamp)", "Ecto", "database"),
        ("django_migrations (id int, app text, name text, applied timestamptz)", "Django", "database"),
    ],
)
def test_ledger_of_another_tool_comes_with_the_way_to_take_it_over(
    table: str, tool: str, source: str, project: Path, conn: psycopg.Connection, doctor: Callable
) -> None:
    conn.execute(f"CREATE TABLE {table}")
    name = table.partition(" ")[0]
    words = f"public.{name} is the ledger of {tool}; pgyoyo import {source}, then pgyoyo adopt"
    assert f"warning  ledger      {words}" in doctor().out


def test_rights_that_a_role_lacks_come_with_the_grant(
    project: Path, conn: psycopg.Connection, database: str, doctor: Callable, run_here: Callable
) -> None:
    run_here("apply", "--database", database)
    role = f"reader_{conn.info.dbname}"
    name = sql.Identifier(role)
    conn.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(name, conn.info.password or None))
    try:
        conn.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}").format(name))
        result = doctor("--database", make_conninfo(database, user=role))
        assert result.code == 1
        grant = f"GRANT SELECT, INSERT, UPDATE, DELETE ON public._yoyo_migration TO {role}"
        assert f"may not INSERT, UPDATE, DELETE public._yoyo_migration; let the owner run: {grant}" in result.out
        assert "this role may not alter" in result.out
        assert re.search(rf"connect as \S+, or GRANT \S+ TO {role}$", result.out, re.MULTILINE)
    finally:
        conn.execute(sql.SQL("DROP OWNED BY {}; DROP ROLE {}").format(name, name))


def test_who_waits_is_shown(project: Path, conn: psycopg.Connection, database: str, doctor: Callable) -> None:
    conn.execute("CREATE TABLE busy (id int)")
    with closing(psycopg.connect(database)) as holder, closing(psycopg.connect(database, autocommit=True)) as waiter:
        holder.execute("LOCK TABLE busy")
        waiter.pgconn.send_query(b"SELECT count(*) FROM busy")
        query = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'"
        while conn.execute(query, [waiter.info.backend_pid]).fetchone() == (0,):
            pass
        shown = f"pid {waiter.info.backend_pid} (role {waiter.info.user}) waits"
        assert f" for pid {holder.info.backend_pid}: SELECT count(*) FROM busy" in doctor().out.partition(shown)[2]


def test_database_that_is_not_there_is_a_fault_without_its_password(
    project: Path, database: str, doctor: Callable, secrets: set[str]
) -> None:
    secrets.add("s3cr3t-word")
    result = doctor("--database", make_conninfo(database, dbname="no_such_one", password="s3cr3t-word"))
    assert (result.code, "fault    database    cannot connect" in result.out) == (1, True)
    nowhere = doctor("--format", "text")
    assert "ok       settings    from " in nowhere.out
    assert (nowhere.code, "none is named; set DATABASE_URL" in nowhere.out) == (1, True)


def test_keys_of_yoyo_ini_that_mean_nothing_are_named_once(project: Path, tmp_path: Path, doctor: Callable) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "shop"\n')
    assert "no pyproject.toml or pgyoyo.toml with [tool.pgyoyo]; write one: pgyoyo init" in doctor().out
    (tmp_path / "yoyo.ini").write_text("[DEFAULT]\nsources = %(here)s/sql/migrations\nverbosity = 3\n")
    out = doctor().out
    assert ("yoyo.ini\n" in out, out.count("this key means nothing to pgyoyo: verbosity")) == (True, 1)
    assert "2 migrations in sql/migrations" in out
