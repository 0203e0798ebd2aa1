"""verify rebuilds in a database that is like the target: with its hooks, its search_path and its settings."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

AGREE = "files, ledger and catalog agree."
NAMED_BY_SETTING = "DO $$ BEGIN EXECUTE format('CREATE TABLE %I ()', current_setting('app.prefix')); END $$;"
TABLE = "CREATE TABLE a (i integer);"
# Names as a DBA may choose them: folded, with capitals, a blank, a quote, a dot and a backslash.
SCHEMAS = ("app", "MyApp", "my app", 'say "hi"', "a.b", "back\\slash", "über")


@pytest.fixture
def verified(run_here, tmp_path: Path, database: str, server_conninfo: str) -> Callable[..., Any]:
    """Applies the files as `conninfo`, then verifies; the result without its first line, the database."""
    folder = tmp_path / "sql"
    folder.mkdir()

    def verified(conninfo: str = database, **texts: str) -> tuple[int, list[str]]:
        for name, text in texts.items():
            (folder / f"{name.replace('post_', 'post-').removeprefix('m')}.sql").write_text(text)
        where = ("--database", conninfo, "--migrations", folder)
        done = run_here("apply", *where)
        assert done.code == 0, done.err
        result = run_here("verify", *where, "--scratch", server_conninfo)
        return result.code, result.out.splitlines()[1:] or result.err.splitlines()

    return verified


@pytest.fixture
def role(database: str, conn: psycopg.Connection) -> Iterator[Callable[[str], str]]:
    """Makes a role that may create in the database and logs in there; its conninfo."""
    made: list[sql.Identifier] = []

    def role(name: str) -> str:
        made.append(sql.Identifier(name))
        conn.execute(sql.SQL("CREATE ROLE {} LOGIN SUPERUSER").format(made[-1]))
        return make_conninfo(database, user=name)

    yield role
    for name in made:
        conn.execute(sql.SQL("REASSIGN OWNED BY {} TO CURRENT_USER").format(name))
        conn.execute(sql.SQL("DROP OWNED BY {0}; DROP ROLE {0}").format(name))


def create_schema(conn: psycopg.Connection, name: str) -> str:
    """Makes the schema by hand; its name as SQL."""
    quoted = sql.Identifier(name).as_string(conn)
    conn.execute(f"CREATE SCHEMA {quoted}".encode())
    return quoted


def alter(conn: psycopg.Connection, what: str) -> None:
    conn.execute(f"ALTER {what.replace('CURRENT', conn.info.dbname)}".encode())


def created_empty(name: str) -> str:
    return f"note: schema {name} was created empty: the search_path names it, and no migration creates it"


# --- Hooks ---


@pytest.mark.parametrize("head", ["", "-- transactional: false\n"])
def test_views_and_grants_of_hooks_are_no_difference(verified, head: str) -> None:
    first = f"{head}CREATE OR REPLACE VIEW v AS SELECT i FROM a;\nGRANT SELECT ON a TO PUBLIC;"
    assert verified(m1_a=TABLE, post_apply=first) == (0, [AGREE])


def test_several_hooks_run_as_apply_runs_them(verified) -> None:
    assert verified(
        m1_a=TABLE,
        post_apply="CREATE OR REPLACE VIEW last AS SELECT * FROM first;",
        **{"post_apply-1": "CREATE OR REPLACE VIEW first AS SELECT i FROM a;"},
    ) == (0, [AGREE])


def test_what_a_hook_made_and_somebody_dropped_is_missing(verified, conn: psycopg.Connection) -> None:
    texts = {"m1_a": TABLE, "post_apply": "CREATE OR REPLACE VIEW v AS SELECT i FROM a;"}
    assert verified(**texts) == (0, [AGREE])
    conn.execute("DROP VIEW v")
    code, lines = verified(**texts)
    assert (code, lines[0].partition(": missing")[0]) == (4, "view public.v")


def test_hook_for_what_is_pending_is_left_out_with_a_note(
    verified, run_here, tmp_path: Path, database: str, server_conninfo: str
) -> None:
    assert verified(m1_a=TABLE) == (0, [AGREE])
    (tmp_path / "sql" / "2_b.sql").write_text("CREATE TABLE b ();")
    (tmp_path / "sql" / "post-apply.sql").write_text("CREATE OR REPLACE VIEW v AS SELECT FROM b;")
    where = ("--database", database, "--migrations", tmp_path / "sql", "--scratch", server_conninfo)
    result = run_here("verify", *where)
    assert result.code == 0
    assert "note: post-apply can't run before the pending migrations, so it was left out:" in result.out


# --- The search_path ---


@pytest.mark.parametrize("name", SCHEMAS)
def test_path_of_the_database(verified, conn: psycopg.Connection, name: str) -> None:
    schema = create_schema(conn, name)
    alter(conn, f"DATABASE CURRENT SET search_path = {schema}, public")
    assert verified(m1_a=TABLE) == (0, [created_empty(name), AGREE])


@pytest.mark.parametrize("name", ["app", 'say "hi"'])
@pytest.mark.parametrize("where", ["", "IN DATABASE CURRENT "])
def test_path_of_the_role(verified, role, conn: psycopg.Connection, name: str, where: str) -> None:
    schema = create_schema(conn, name)
    user = f"path_{uuid.uuid4().hex[:12]}"
    conninfo = role(user)
    alter(conn, f"ROLE {user} {where}SET search_path = {schema}")
    assert verified(conninfo, m1_a=TABLE) == (0, [created_empty(name), AGREE])


@pytest.mark.parametrize("name", ["app", "my app", "back\\slash"])
def test_path_of_the_url(verified, database: str, conn: psycopg.Connection, name: str) -> None:
    schema = create_schema(conn, name)
    escaped = schema.replace("\\", "\\\\").replace(" ", "\\ ")
    conninfo = make_conninfo(database, options=f"-c search_path={escaped},public")
    assert verified(conninfo, m1_a=TABLE) == (0, [created_empty(name), AGREE])


def test_path_of_the_url_is_above_those_of_role_and_database(
    verified, role, database: str, conn: psycopg.Connection
) -> None:
    create_schema(conn, "of_url")
    user = f"path_{uuid.uuid4().hex[:12]}"
    conninfo = make_conninfo(role(user), options="-c search_path=of_url")
    alter(conn, "DATABASE CURRENT SET search_path = of_database")
    alter(conn, f"ROLE {user} SET search_path = of_role")
    assert verified(conninfo, m1_a=f"CREATE SCHEMA of_database; CREATE SCHEMA of_role; {TABLE}") == (
        0, [created_empty("of_url"), AGREE]
    )  # fmt: skip


@pytest.mark.parametrize("prefix", ["user", "User "])
def test_schema_named_like_the_role_that_logs_in(verified, role, conn: psycopg.Connection, prefix: str) -> None:
    user = f"{prefix}_{uuid.uuid4().hex[:12]}"
    conninfo = role(user)
    create_schema(conn, user)
    assert verified(conninfo, m1_a=TABLE) == (0, [created_empty(user), AGREE])


@pytest.mark.parametrize(
    "create",
    [
        "CREATE SCHEMA app;",
        "CREATE SCHEMA IF NOT EXISTS app;",
        "DO $$ BEGIN EXECUTE 'CREATE SCH' || 'EMA app'; END $$;",
    ],
)
def test_schema_that_a_migration_creates(verified, conn: psycopg.Connection, create: str) -> None:
    alter(conn, "DATABASE CURRENT SET search_path = app, public")
    assert verified(m1_schema=f"-- Not this one: CREATE SCHEMA public;\n{create}", m2_a=TABLE) == (0, [AGREE])


def test_schema_of_the_ledger_that_a_migration_would_create(verified, conn: psycopg.Connection) -> None:
    create_schema(conn, "app")
    alter(conn, "DATABASE CURRENT SET search_path = app")
    texts = {"m1_schema": "CREATE SCHEMA IF NOT EXISTS app;", "m2_a": TABLE}
    assert verified(**texts) == (0, [created_empty("app"), AGREE])


def test_path_that_a_migration_sets_holds_from_there_on(verified) -> None:
    path = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = app', current_database()); END $$;"
    texts = {"m1_a": TABLE, "m2_path": f"CREATE SCHEMA app;\n{path}", "m3_b": "CREATE TABLE b ();"}
    assert verified(**texts) == (0, [AGREE])


def test_path_that_a_migration_sets_for_the_role_of_the_target_holds_from_there_on(verified, role) -> None:
    user = f"path_{uuid.uuid4().hex[:12]}"
    path = f"CREATE SCHEMA app;\nALTER ROLE {user} SET search_path = app;"
    assert verified(role(user), m1_a=TABLE, m2_path=path, m3_b="CREATE TABLE b ();") == (0, [AGREE])


# --- Other settings ---


@pytest.mark.parametrize("level", ["DATABASE CURRENT", "ROLE"])
@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ("timezone = 'Asia/Tokyo'", "CREATE TABLE t (at timestamptz DEFAULT '2026-01-01 00:00');"),
        ("datestyle = 'ISO, DMY'", "CREATE TABLE t (day date DEFAULT '02-01-2026');"),
        ("transform_null_equals = on", "CREATE TABLE t (i int, CHECK (i = NULL));"),
        ("app.prefix = 'it''s, mine'", NAMED_BY_SETTING),
    ],
)  # fmt: skip
def test_settings_that_decide_what_migrations_make(
    verified, role, conn: psycopg.Connection, level: str, setting: str, text: str
) -> None:
    user = f"settings_{uuid.uuid4().hex[:12]}"
    conninfo = role(user)
    alter(conn, f"{level if level != 'ROLE' else f'ROLE {user}'} SET {setting}")
    assert verified(conninfo, m1_t=text) == (0, [AGREE])


def test_setting_of_the_url_that_is_the_projects_own(verified, database: str) -> None:
    conninfo = make_conninfo(database, options="-c app.prefix=the\\ name")
    assert verified(conninfo, m1_t=NAMED_BY_SETTING) == (0, [AGREE])


def test_limits_of_the_target_are_left_to_the_scratch_server(verified, conn: psycopg.Connection) -> None:
    assert verified(m1_t="SELECT pg_sleep(0.02);") == (0, [AGREE])
    alter(conn, "DATABASE CURRENT SET statement_timeout = 10000")
    alter(conn, "DATABASE CURRENT SET default_transaction_read_only = on")
    assert verified(m1_t="SELECT pg_sleep(0.02);") == (0, [AGREE])


def test_what_the_scratch_server_lacks_is_left_out(verified, conn: psycopg.Connection) -> None:
    # Its name is stored before the access method exists for others.
    conn.execute("CREATE ACCESS METHOD mine TYPE TABLE HANDLER heap_tableam_handler")
    alter(conn, "DATABASE CURRENT SET default_table_access_method = mine")
    code, shown = verified(m1_t="SET default_table_access_method = heap;\nCREATE TABLE t ();")
    # The access method, made by hand, is the only difference; the setting that names it does no harm.
    method = "access method mine: only in the database: TABLE HANDLER heap_tableam_handler"
    assert (code, shown) == (4, [method, "1 difference."])


def test_extension_made_by_hand_is_there_for_the_migrations_that_need_it_and_else_a_difference(
    verified, conn: psycopg.Connection
) -> None:
    if not conn.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'citext'").fetchone():
        pytest.skip("this server has no citext")
    conn.execute("CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext")
    code, lines = verified(m0001_a=TABLE)
    assert (code, "extension citext: only in the database: VERSION" in "\n".join(lines)) == (4, True)
    code, lines = verified(m0002_b="CREATE TABLE b (i ext.citext);")
    assert "note: extension citext was created first: the database has it, and no migration creates it" in lines
    assert not [line for line in lines if "citext:" in line]
