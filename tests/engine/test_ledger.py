"""Which ledger counts, whose it may be, and what a file can do to it."""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgyoyo.engine import lock, which_ledger, wire
from pgyoyo.engine.ledger import key_of
from pgyoyo.errors import DriftError

ROW = "INSERT INTO ran VALUES"


@pytest.fixture
def roles(conn: psycopg.Connection) -> Iterator[Callable[..., str]]:
    """Makes roles, gone at the end with what they own."""
    names: list[str] = []

    def make(name: str, options: str = "LOGIN") -> str:
        # Roles are the server's; other processes test on it too.
        name += f"_{os.getpid()}"
        names.append(name)
        conn.execute(sql.SQL("CREATE ROLE {} " + options).format(sql.Identifier(name)))
        return name

    yield make
    conn.execute("RESET ROLE")
    for name in names:
        conn.execute(sql.SQL("DROP OWNED BY {} CASCADE").format(sql.Identifier(name)))
        conn.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


class Project:
    """Migrations that each make a table in the current schema, and the command line on them."""

    def __init__(self, folder: Path, database: str, run: Callable) -> None:
        self.folder, self.database, self.run = folder, database, run
        folder.mkdir()
        for number in (1, 2, 3):
            self.write(f"000{number}_t", f"CREATE TABLE t{number} ();", f"DROP TABLE t{number};")

    def write(self, name: str, apply: str, rollback: str = "SELECT 1;") -> None:
        (self.folder / f"{name}.sql").write_text(apply + "\n")
        (self.folder / f"{name}.rollback.sql").write_text(rollback + "\n")

    def __call__(self, *words: str, code: int = 0, **options: str) -> str:
        conninfo = make_conninfo(self.database, **options)
        result = self.run(*words, "--database", conninfo, "--migrations", self.folder)
        assert "Traceback" not in result.err
        assert result.code == code, result.out + result.err
        return result.out + result.err


@pytest.fixture
def project(tmp_path: Path, database: str, run_here) -> Project:
    return Project(tmp_path / "sql", database, run_here)


def ledgers(conn: psycopg.Connection) -> dict[str, int]:
    """How many rows each ledger has, by its schema."""
    query = "SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname = '_yoyo_migration' ORDER BY 1"
    schemas = [schema for (schema,) in conn.execute(query)]
    counts = ((s, conn.execute(f"SELECT count(*) FROM {s}._yoyo_migration".encode()).fetchone()) for s in schemas)
    return {schema: row[0] for schema, row in counts if row}


# --- Which one counts. ---


def test_ledger_of_another_schema_is_named_and_left_alone(project: Project, conn: psycopg.Connection) -> None:
    conn.execute("CREATE SCHEMA a; CREATE SCHEMA b")
    project("apply", options="-csearch_path=a")
    words = "schema a holds a ledger with 3 of these migrations; this run uses schema b"
    out = project("status", options="-csearch_path=b")
    assert words in out
    assert "0 applied, 3 pending" in out
    out = project("rollback", "--all", "--yes", options="-csearch_path=b")
    assert "nothing to do: no migration is applied" in out
    assert words in project("apply", options="-csearch_path=b")
    assert ledgers(conn) == {"a": 3, "b": 3}
    project("rollback", "--all", "--yes", options="-csearch_path=b")
    assert ledgers(conn) == {"a": 3, "b": 0}
    # With a ledger of its own nothing is to be said of others.
    assert "schema a" not in project("status", options="-csearch_path=b")


def test_session_that_quotes_all_identifiers_has_the_same_ledger_and_lock(
    project: Project, conn: psycopg.Connection
) -> None:
    quoting = "-cquote_all_identifiers=on"
    conn.execute("SELECT pg_advisory_lock(%s)", [key_of("public")])
    assert "the database is locked by" in project("apply", "--wait", "1ms", code=5, options=quoting)
    conn.execute("SELECT pg_advisory_unlock_all()")
    project("apply", options=quoting)
    assert "nothing to do: 3 applied" in project("apply")
    assert "running" not in project("status", options=quoting)
    project("rollback", "--all", "--yes", options=quoting)
    assert ledgers(conn) == {"public": 0}


def test_ledger_on_the_path_counts_where_the_current_schema_has_none(
    project: Project, conn: psycopg.Connection
) -> None:
    project("apply", "--to", "1")
    conn.execute("CREATE SCHEMA early")
    said = "the ledger in schema public, further on the search_path, is used: the current schema, early, has none"
    for options in ("-csearch_path=early,public", "-csearch_path=none,early,public"):
        out = project("status", options=options)
        assert ("1 applied, 2 pending" in out, said in out) == (True, True), out
    # It goes without saying where the migrations themselves made that schema.
    file = project.folder / "0002_t.sql"
    file.write_text("CREATE SCHEMA IF NOT EXISTS early; " + file.read_text())
    project("apply", "--to", "2")
    assert said not in project("status", options="-csearch_path=early,public")


def test_two_ledgers_on_a_path_of_the_database_are_refused_unless_the_connection_says_which(
    project: Project, conn: psycopg.Connection
) -> None:
    conn.execute("CREATE SCHEMA a")
    project("apply", "--to", "1")
    project("apply", "--to", "2", options="-csearch_path=a")
    conn.execute(sql.SQL("ALTER DATABASE {} SET search_path = a, public").format(sql.Identifier(conn.info.dbname)))
    assert "there are two ledgers: a._yoyo_migration and public._yoyo_migration" in project("apply", code=4)
    project("apply", options="-csearch_path=a,public")
    assert ledgers(conn) == {"a": 3, "public": 1}


NAMES = [
    "MyApp",
    "two words",
    'quo"te',
    "dot.ted",
    "umläut",
    "x" * 63,
    "select",
    "per%cent",
    "per%%cent%s",
    "{key}",
    "1",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_schema_will_do(project: Project, conn: psycopg.Connection, name: str) -> None:
    quoted = sql.Identifier(name)
    conn.execute(sql.SQL("CREATE SCHEMA {}").format(quoted))
    conn.execute(
        sql.SQL("ALTER DATABASE {} SET search_path = {}, public").format(sql.Identifier(conn.info.dbname), quoted)
    )
    project.write("0004_steps", "-- transactional: false\nCREATE TABLE t4 (i int);\nCREATE INDEX CONCURRENTLY ON t4 (i);",
                  "-- transactional: false\nDROP TABLE t4;")  # fmt: skip
    project.write("0005_fill", "-- backfill: batched\nUPDATE t4 SET i = 1 WHERE i IS NULL;")
    assert "5 applied, none pending" in project("apply")
    assert "nothing to do" in project("apply")
    assert "5 applied" in project("status")
    project("redo", "--count", "1")
    project("rollback", "--all", "--yes")
    query = "SELECT nspname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace WHERE relname = '_yoyo_migration'"
    assert conn.execute(query).fetchone() == (name,)


@pytest.mark.parametrize("name", ["AppUser", "two words", 'quo"te', "dot.ted", "umläut", "per%cent"])
def test_any_name_of_a_role_with_a_schema_of_its_own_will_do(
    project: Project, conn: psycopg.Connection, roles: Callable[..., str], name: str
) -> None:
    name = roles(name)
    quoted = sql.Identifier(name)
    conn.execute(sql.SQL("CREATE SCHEMA {0} AUTHORIZATION {0}").format(quoted))
    assert "3 applied" in project("apply", user=name)
    assert "nothing to do" in project("apply", user=name)
    project("rollback", "--all", "--yes", user=name)


# --- Whose it may be. ---


@pytest.fixture
def stranger(conn: psycopg.Connection, roles: Callable[..., str]) -> str:
    return roles("stranger")


# What somebody did, what is said of it, and what takes it back.
FAULTS = {
    "owner": (
        "ALTER TABLE public.{} OWNER TO {stranger}",
        "belongs to the role {stranger}",
        "ALTER TABLE public.{} OWNER TO CURRENT_USER",
    ),
    "trigger": (
        "CREATE TRIGGER odd BEFORE INSERT ON public.{} FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        'has the trigger "odd"',
        "DROP TRIGGER odd ON public.{}",
    ),
    "rule": (
        "CREATE RULE odd AS ON INSERT TO public.{} DO ALSO NOTHING",
        'has the rule "odd"',
        "DROP RULE odd ON public.{}",
    ),
    "kind": (
        "ALTER TABLE public.{0} RENAME TO old; CREATE VIEW public.{0} AS SELECT * FROM old",
        "is not an ordinary table",
        "DROP VIEW public.{0}; ALTER TABLE old RENAME TO {0}",
    ),
}
TABLES = ["_yoyo_migration", "_yoyo_log", "_yoyo_version", "yoyo_lock", "_pgyoyo_migration", "_pgyoyo_journal",
          "_pgyoyo_backfill"]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_ledger_that_could_run_a_stranger_s_code_is_refused_and_named(
    project: Project, conn: psycopg.Connection, stranger: str, fault: str
) -> None:
    project("apply", "--to", "1")
    done, words, undone = FAULTS[fault]
    for table in TABLES:
        statement = done if table == "_yoyo_migration" else done.replace("BEFORE INSERT", "BEFORE UPDATE")
        conn.execute(statement.format(table, stranger=stranger).encode())
        for command in ("status", "apply", "rollback", "mark 2", "repair 1", "apply --dry-run"):
            out = project(*command.split(), code=4)
            assert f"this ledger is not used: public.{table} {words.format(stranger=stranger)}" in out
        assert conn.execute("SELECT to_regclass('t2')").fetchone() == (None,)
        conn.execute(undone.format(table).encode())
    assert "1 applied, 2 pending" in project("status")


@pytest.mark.parametrize("table", [name for name in TABLES if name != "_yoyo_migration"])
def test_tables_that_lie_in_wait_for_a_new_ledger_are_refused(
    project: Project, conn: psycopg.Connection, stranger: str, table: str
) -> None:
    """Whoever may create in the schema makes one with a trigger before our first run."""
    conn.execute(
        b"CREATE FUNCTION public.take() RETURNS trigger LANGUAGE plpgsql AS "
        + f"$$BEGIN EXECUTE 'ALTER ROLE {stranger} SUPERUSER'; RETURN NEW; END$$".encode()
    )
    conn.execute(f"GRANT CREATE ON SCHEMA public TO {stranger}; SET ROLE {stranger}".encode())
    columns = {
        "_yoyo_version": "version int PRIMARY KEY, installed_at_utc timestamp",
        "yoyo_lock": "pid int, locked int",
    }
    conn.execute(f"CREATE TABLE public.{table} ({columns.get(table, 'migration_hash text')})".encode())
    conn.execute(f"CREATE TRIGGER take BEFORE INSERT ON public.{table} FOR EACH ROW EXECUTE FUNCTION take()".encode())
    conn.execute("RESET ROLE")
    assert f"public.{table} belongs to the role {stranger}" in project("apply", code=4)
    assert conn.execute("SELECT rolsuper FROM pg_roles WHERE rolname = %s", [stranger]).fetchone() == (False,)
    assert ledgers(conn) == {}


def test_owner_may_be_a_role_that_ours_belongs_to_or_the_database_s(
    project: Project, conn: psycopg.Connection, roles: Callable[..., str]
) -> None:
    group, member = roles("owning group", "NOLOGIN"), roles("member")
    conn.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(group), sql.Identifier(member)))
    conn.execute(sql.SQL("GRANT ALL ON SCHEMA public TO {}, {}").format(sql.Identifier(group), sql.Identifier(member)))
    project("apply", "--to", "1")
    for name in (*TABLES, "t1"):
        conn.execute(sql.SQL("ALTER TABLE public.{} OWNER TO {}").format(sql.Identifier(name), sql.Identifier(group)))
    assert "3 applied" in project("apply", user=member)
    assert f'belongs to the role "{group}"' in project("status", code=4)
    database = sql.Identifier(conn.info.dbname)
    row = conn.execute("SELECT current_user").fetchone()
    assert row
    conn.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, sql.Identifier(group)))
    assert "3 applied" in project("status")
    conn.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, sql.Identifier(row[0])))


def test_row_security_that_hides_rows_is_refused(
    project: Project, conn: psycopg.Connection, roles: Callable[..., str]
) -> None:
    reader = roles("reader")
    project("apply")
    conn.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {reader}".encode())
    conn.execute("ALTER TABLE _yoyo_migration ENABLE ROW LEVEL SECURITY")
    out = project("status", code=4, user=reader)
    assert "row-level security may hide rows of public._yoyo_migration from this role" in out
    # Its owner sees all.
    assert "3 applied" in project("status")


def test_schema_without_usage_or_table_without_select_is_no_missing_ledger(
    project: Project, conn: psycopg.Connection, roles: Callable[..., str]
) -> None:
    role = roles("app")
    conn.execute("CREATE SCHEMA hidden")
    project("apply", options="-csearch_path=hidden")
    conn.execute(f"GRANT ALL ON SCHEMA public TO {role}".encode())
    out = project("apply", code=4, user=role, options="-csearch_path=hidden,public")
    assert "the schema of hidden._pgyoyo_backfill may not be used by this role" in out
    assert ledgers(conn) == {"hidden": 3}
    conn.execute(f"GRANT USAGE ON SCHEMA hidden TO {role}".encode())
    out = project("apply", code=4, user=role, options="-csearch_path=hidden,public")
    assert "this role may not read hidden._pgyoyo_backfill" in out
    assert "let the owner run: GRANT SELECT ON hidden._pgyoyo_backfill, hidden._pgyoyo_journal, " in out
    assert f" TO {role}\n" in out


def test_path_s_first_ledger_may_not_be_a_view(project: Project, conn: psycopg.Connection) -> None:
    """Not even looked at: a view runs its owner's functions with our rights."""
    conn.execute("CREATE SEQUENCE looked; CREATE FUNCTION look() RETURNS text LANGUAGE sql AS "
                 "$$SELECT nextval('looked')::text$$; CREATE VIEW _yoyo_migration AS "
                 "SELECT look() AS migration_hash, look() AS migration_id, now()::timestamp AS applied_at_utc")  # fmt: skip
    for command in ("status", "apply", "rollback"):
        assert "public._yoyo_migration is not an ordinary table" in project(command, code=4)
    assert conn.execute("SELECT is_called FROM looked").fetchone() == (False,)


# --- What a file can do to it. ---

HARM = {
    "truncates": "TRUNCATE _yoyo_migration, _pgyoyo_migration;",
    "deletes": "DELETE FROM _yoyo_migration;",
    "drops": "DROP TABLE _yoyo_migration;",
    "renames": "ALTER TABLE _yoyo_migration RENAME TO old;",
    "renames_ours": "ALTER TABLE _pgyoyo_migration RENAME TO old;",
    "moves": "CREATE SCHEMA elsewhere; ALTER TABLE _yoyo_migration SET SCHEMA elsewhere;",
    "rehashes": "UPDATE _yoyo_migration SET migration_hash = 'x' || left(migration_hash, 9);",
    "deletes_another": "DELETE FROM _yoyo_migration WHERE migration_id = '0001_t';",
    "changes_a_time": "UPDATE _yoyo_migration SET applied_at_utc = now() WHERE migration_id = '0001_t';",
    "adds_a_row": "INSERT INTO _yoyo_migration VALUES ('a', 'b', now());",
    "empties_ours": "TRUNCATE _pgyoyo_migration;",
    "deletes_ours": "DELETE FROM _pgyoyo_migration WHERE migration_id = '0001_t';",
    "empties_the_log": "TRUNCATE _yoyo_log;",
    "deletes_of_the_log": "DELETE FROM _yoyo_log;",
    "makes_it_anew": "CREATE TABLE copied AS TABLE _yoyo_migration; DROP TABLE _yoyo_migration; "
    "ALTER TABLE copied RENAME TO _yoyo_migration;",
    "frees_the_lock": "DELETE FROM yoyo_lock;",
    "forgets_settings_and_deletes": "RESET ALL; DELETE FROM _yoyo_log;",
    "drops_the_journal": "DROP TABLE _pgyoyo_journal;",
    "renames_the_log": "ALTER TABLE _yoyo_log RENAME TO old;",
    "unlogs_it": "ALTER TABLE _yoyo_log SET UNLOGGED;",
    "drops_a_column": "ALTER TABLE _yoyo_migration DROP COLUMN migration_id;",
    "drops_a_key": "ALTER TABLE _pgyoyo_migration DROP CONSTRAINT _pgyoyo_migration_pkey;",
    "hides_rows": "ALTER TABLE _yoyo_migration ENABLE ROW LEVEL SECURITY;",
    "makes_a_rule": "CREATE RULE r AS ON INSERT TO _yoyo_log DO ALSO DELETE FROM _yoyo_migration;",
    "makes_a_trigger_that_fires_at_the_end": "CREATE FUNCTION harm() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN DELETE FROM "
    "_yoyo_migration; RETURN NULL; END$$; DO $$BEGIN EXECUTE 'CREATE TRIG' || 'GER harm AFTER UPDATE ON _pgy' || "
    "'oyo_migration EXECUTE FUNCTION harm()'; END$$;",
    "renames_its_schema": "ALTER SCHEMA public RENAME TO old; CREATE SCHEMA public;",
    "drops_its_schema": "DROP SCHEMA public CASCADE; CREATE SCHEMA public;",
    "truncates_all_tables": "DO $$DECLARE t text; BEGIN FOR t IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' "
    "LOOP EXECUTE 'TRUNCATE ' || t; END LOOP; END$$;",
    "by_a_deferred_trigger": "CREATE FUNCTION harm() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN DELETE FROM _yoyo_log; "
    "RETURN NULL; END$$; CREATE CONSTRAINT TRIGGER harm AFTER INSERT ON t1 INITIALLY DEFERRED FOR EACH ROW "
    "EXECUTE FUNCTION harm(); INSERT INTO t1 DEFAULT VALUES;",
}


CHANGED = ("changed the ledger: rows of other migrations", "dropped, moved or altered a table of the ledger")


@pytest.mark.parametrize("outside", [False, True])
def test_file_that_reaches_for_the_ledger_is_rolled_back(
    project: Project, conn: psycopg.Connection, *, outside: bool
) -> None:
    project("apply")
    for harm, text in HARM.items():
        project.write("0004_harm", f"-- transactional: false\nBEGIN;\n{text}\nCOMMIT;" if outside else text)
        out = project("apply", code=1)
        assert any(words in out for words in CHANGED), (harm, out)
        assert "0004_harm failed and was rolled back" in out, harm
        assert ledgers(conn) == {"public": 3}, harm


def test_rollback_or_hook_that_reaches_for_the_ledger_is_rolled_back(
    project: Project, conn: psycopg.Connection
) -> None:
    project.write("0004_harm", "SELECT 1;")
    project("apply", "--to", "4")
    for harm, text in HARM.items():
        project.write("0004_harm", "SELECT 1;", text)
        project("repair", "4")
        out = project("rollback", code=1)
        assert any(words in out for words in CHANGED), (harm, out)
        assert "0004_harm failed and was rolled back" in out, harm
        assert ledgers(conn) == {"public": 4}, harm
    for harm in ("truncates_all_tables", "empties_ours", "deletes_another"):
        (project.folder / "post-apply.sql").write_text(HARM[harm])
        project("apply", code=1)
        assert ledgers(conn) == {"public": 4}, harm


COMMITS = "-- transactional: false\nCREATE PROCEDURE p() LANGUAGE plpgsql AS $$BEGIN {} COMMIT; END$$;\nCALL p();"


def test_code_that_commits_by_itself_is_not_sent_where_it_shows_that_it_changes_the_ledger(
    project: Project, conn: psycopg.Connection
) -> None:
    project("apply")
    conn.execute("CREATE FUNCTION f() RETURNS void LANGUAGE sql AS 'UPDATE _yoyo_migration SET applied_at_utc = now()'")
    for text, where in (("TRUNCATE t1, _yoyo_log;", "p"), ("PERFORM f();", "f")):
        project.write("0004_harm", COMMITS.format(text))
        assert f"statement 2, CALL p: its code, in {where}, changes _yoyo_" in project("apply", code=1)
        conn.execute("DROP PROCEDURE p; DELETE FROM _pgyoyo_journal")
    project.write("0004_harm", COMMITS.format("PERFORM count(*) FROM _yoyo_migration;"))
    project("apply")


@pytest.mark.parametrize(("text", "ids"), [
    ("EXECUTE 'DELETE FROM _yo' || 'yo_migration WHERE migration_id = ''0002_t''';", "0002_t"),
    ("EXECUTE 'DROP TABLE _yo' || 'yo_migration';", "0001_t 0002_t 0003_t"),
])  # fmt: skip
def test_what_code_that_commits_changed_is_named_with_its_repair(
    project: Project, conn: psycopg.Connection, text: str, ids: str
) -> None:
    project("apply")
    project.write("0004_harm", COMMITS.format(text) + "\nCREATE TABLE next ();")
    out = project("apply", code=1)
    assert f"no row any more: record them again with pgyoyo mark {ids}\n" in out
    assert "statement 2, CALL p" in out
    assert conn.execute("SELECT to_regclass('next')").fetchone() == (None,)
    project("mark", *ids.split())
    project("apply")
    assert ledgers(conn) == {"public": 4}


UNSOUND = {
    "SET UNLOGGED": "is unlogged, so a crash of the server empties it; ALTER TABLE public.{} SET LOGGED",
    "DROP COLUMN migration_id": 'lacks the column "migration_id" of type',
    "ALTER migration_hash TYPE char(64)": 'lacks the column "migration_hash" of type',
    "ALTER applied_at_utc TYPE timestamptz": 'lacks the column "applied_at_utc" of type timestamp',
    "DROP CONSTRAINT {}_pkey": "has no primary key; ALTER TABLE public.{} ADD PRIMARY KEY (migration_hash)",
}


@pytest.mark.parametrize("table", ["_yoyo_migration", "_pgyoyo_migration"])
def test_table_that_can_not_keep_the_rows_is_refused_with_its_repair(
    project: Project, conn: psycopg.Connection, table: str
) -> None:
    project("apply")
    project.write("0004_t", "CREATE TABLE t4 ();")
    # A temporary table of the same name hides nothing.
    conn.execute(f"CREATE TEMP TABLE {table} (i int); CREATE TABLE kid () INHERITS (public.{table})".encode())
    out = project("apply", code=4)
    assert f"public.{table} has the rows of kid, too; ALTER TABLE kid NO INHERIT public.{table}" in out
    conn.execute("DROP TABLE kid")
    for change, words in UNSOUND.items():
        with conn.transaction(force_rollback=True):
            conn.execute(f"ALTER TABLE public.{table} {change.format(table)}".encode())
            with pytest.raises(DriftError, match=re.escape(words.format(table))):
                which_ledger.refuse_misfits(conn, "public")
    conn.execute(f"ALTER TABLE public.{table} DROP CONSTRAINT {table}_pkey".encode())
    assert "has no primary key" in project("apply", code=4)
    conn.execute(f"ALTER TABLE public.{table} DROP COLUMN applied_at_utc".encode())
    assert 'lacks the column "applied_at_utc"' in project("status", code=4)


@pytest.mark.parametrize("header", ["", "-- transactional: false\n"])
def test_file_that_drops_the_table_of_the_lock_row_is_applied_and_that_is_told(project: Project, header: str) -> None:
    project("apply")
    project.write("0004_drop", f"{header}DROP TABLE yoyo_lock;")
    out = project("apply")
    assert "applied 0004_drop" in out
    assert 'lock row in public.yoyo_lock could not be taken back: relation "public.yoyo_lock" does not exist' in out
    project.write("0005_next", "CREATE TABLE after_it ();")
    assert "could not be taken back" not in project("apply")


@pytest.mark.parametrize("words", [(), ("--single-transaction",)])
def test_what_does_not_touch_the_ledger_s_rows_is_no_harm(
    project: Project, conn: psycopg.Connection, words: tuple[str, ...]
) -> None:
    """Nor are rows that the session wrote before, whose counts it may still keep; and the plain yoyo's rows."""
    project("apply", "--to", "1")
    conn.execute("DELETE FROM _pgyoyo_migration")
    text = "CREATE TABLE t2 AS TABLE _yoyo_migration; SAVEPOINT a; RESET ALL; GRANT SELECT ON _yoyo_log TO PUBLIC;"
    project.write("0002_t", text, "TRUNCATE t2; DROP TABLE t2;")
    project("apply", *words)
    project("redo", "--count", "2")
    project("rollback", "--all", "--yes", *words)
    # As where a plain yoyo rolled it back: our row of it is still there.
    project("apply", "--to", "2")
    conn.execute("DELETE FROM _yoyo_migration WHERE migration_id = '0002_t'; DROP TABLE t2")
    project("apply", *words)
    conn.execute(sql.SQL("ALTER DATABASE {} SET track_counts = off").format(sql.Identifier(conn.info.dbname)))
    project("rollback", "--all", "--yes", *words)
    project("apply", *words)
    assert ledgers(conn) == {"public": 3}


LOCK = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"


@pytest.mark.parametrize(
    "text",
    [
        "SELECT pg_advisory_unlock_all();",
        "-- transactional: false\nSELECT pg_advisory_unlock_all();",
        "-- transactional: false\nDISCARD ALL;",
        f"SELECT pg_advisory_unlock({key_of('public')});",
    ],
)
def test_lock_that_a_file_releases_is_taken_again(project: Project, conn: psycopg.Connection, text: str) -> None:
    project.write("0002_t", text)
    ours = f"pid = pg_backend_pid() AND (classid::bigint << 32 | objid::bigint) = {key_of('public')}"
    project.write(
        "0003_t", f"CREATE TABLE held AS SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND {ours};"
    )
    project("apply")
    assert conn.execute("SELECT * FROM held").fetchone() == (1,)
    assert conn.execute("SELECT count(*) FROM yoyo_lock").fetchone() == (0,)
    project("rollback", "--all", "--yes")


def test_run_stops_when_another_has_the_lock_that_a_file_released(
    project: Project, conn: psycopg.Connection, database: str
) -> None:
    """A rival comes between the file and its record: here the file itself lets it in, by a second session."""
    other = psycopg.connect(database, autocommit=True)
    real = wire.send

    def send(session: psycopg.Connection, text: bytes, *args, **options) -> wire.Reply:
        reply = real(session, text, *args, **options)
        if b"pg_advisory_unlock_all" in text and session is not other:
            other.execute("SELECT pg_advisory_lock(%s)", [key_of("public")])
        return reply

    project.write("0002_t", "-- transactional: false\nSELECT pg_advisory_unlock_all();")
    with pytest.MonkeyPatch.context() as patch, other:
        patch.setattr(wire, "send", send)
        out = project("apply", code=1)
    assert "another runner has the lock of this run: a file released it" in out
    assert ledgers(conn) == {"public": 1}


# --- Errors, clocks and odd rows. ---


@pytest.mark.parametrize("committed", [True, False])
def test_error_of_the_client_alone_is_looked_up(project: Project, conn: psycopg.Connection, committed: bool) -> None:
    """As when a result does not fit into memory: libpq's error has no SQLSTATE, and the server may have committed."""
    real = wire.send

    def send(session: psycopg.Connection, text: bytes, *args, **options) -> wire.Reply:
        if b"CREATE TABLE t1" not in text:
            return real(session, text, *args, **options)
        if committed:
            real(session, text, *args, **options)
        return wire.Reply(error=psycopg.OperationalError("out of memory for query result"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "send", send)
        out = project("apply", code=1)
    assert f"looked up afterwards: 0001_t is {'' if committed else 'not '}applied" in out
    assert "rolled back" not in out
    assert ledgers(conn) == {"public": int(committed)}


@pytest.mark.parametrize("way", ["steps", "one run", "single", "mark"])
def test_order_of_rolling_back_is_that_of_applying_when_the_clock_steps_back(
    project: Project, conn: psycopg.Connection, way: str
) -> None:
    project("apply", "--to", "1")
    # As if the clock had been an hour ahead, and a plain yoyo's row had no time that can be compared.
    conn.execute("UPDATE _yoyo_migration SET applied_at_utc = applied_at_utc + interval '1 hour'")
    conn.execute("UPDATE _pgyoyo_migration SET applied_at_utc = applied_at_utc + interval '1 hour'")
    if way == "steps":
        project("apply", "--to", "2")
        project("apply")
    elif way == "mark":
        project("mark", "2", "3")
    else:
        project("apply", *["--single-transaction"] * (way == "single"))
    query = "SELECT migration_id FROM _yoyo_migration ORDER BY applied_at_utc, migration_id DESC"
    assert [name for (name,) in conn.execute(query)] == ["0001_t", "0002_t", "0003_t"]
    assert conn.execute("SELECT count(*) FROM _yoyo_migration JOIN _pgyoyo_migration USING (migration_hash, applied_at_utc)"
                        ).fetchone() == (3,)  # fmt: skip
    if way != "mark":
        out = project("rollback", "--count", "2")
        assert out.index("rolled back 0003_t") < out.index("rolled back 0002_t")


def test_row_without_id_or_time_is_shown_and_can_be_taken_out(project: Project, conn: psycopg.Connection) -> None:
    project("apply")
    conn.execute("INSERT INTO _yoyo_migration VALUES ('cafe0123456789', NULL, NULL)")
    conn.execute("UPDATE _yoyo_migration SET migration_id = NULL WHERE migration_id = '0002_t'")
    conn.execute("UPDATE _yoyo_migration SET applied_at_utc = 'infinity' WHERE migration_id = '0001_t'")
    project.write("0004_t", "CREATE TABLE t4 ();", "DROP TABLE t4;")
    out = project("status")
    assert "(no id, hash cafe0123)" in out
    assert "(no time)" in out
    project("status", "--format", "json")
    project("verify", "--scratch", project.database, code=1)
    project("apply")
    assert "has no file here" in project("redo", code=2)
    project("rollback", "4")
    for words in (["mark", "cafe"], ["rollback", "cafe"], ["repair", "nothing"]):
        assert "no migration" in project(*words, code=2)
    assert "has no file here" in project("rollback", "--count", "1", code=1)
    project("unmark", "(no id, hash cafe")
    assert ledgers(conn) == {"public": 3}


def test_standard_conforming_strings_of_the_database_hides_no_commit(
    project: Project, conn: psycopg.Connection
) -> None:
    name = sql.Identifier(conn.info.dbname)
    conn.execute(sql.SQL("ALTER DATABASE {} SET standard_conforming_strings = off").format(name))
    conn.execute(sql.SQL("ALTER DATABASE {} SET backslash_quote = on").format(name))
    project.write("0001_t", r"CREATE TABLE t1 AS SELECT 'it\' AS a; SELECT '; COMMIT; --';")
    project("apply", "--to", "1")
    assert conn.execute("SELECT * FROM t1").fetchone() == ("it\\",)


# --- What changed until the lock was had. ---


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Has something happen once when the first look was taken, before the lock is had, as by another runner."""
    real = lock.hold

    def meanwhile(act: Callable[[], object]) -> None:
        @contextmanager
        def hold(*args, **options) -> Iterator[lock.Held]:
            monkeypatch.setattr(lock, "hold", real)
            act()
            with real(*args, **options) as held:
                yield held

        monkeypatch.setattr(lock, "hold", hold)

    return meanwhile


def test_what_another_runner_applied_edited_or_put_out_of_order_is_seen_under_the_lock(
    project: Project, conn: psycopg.Connection, run: Callable, meanwhile: Callable
) -> None:
    def other(*words: str) -> None:
        result = run(*words, "--database", project.database, "--migrations", project.folder)
        assert result.code == 0, result.err

    meanwhile(lambda: other("apply", "--to", "2"))
    out = project("apply")
    assert "applied 0003_t" in out
    assert "applied 0001_t" not in out

    # A rival applied another text of a file than the one that was read here.
    def edited() -> None:
        text = (project.folder / "0004_t.sql").read_text()
        project.write("0004_t", "CREATE TABLE t4 (other int);")
        other("apply")
        project.write("0004_t", text.strip())

    project.write("0004_t", "CREATE TABLE t4 ();", "DROP TABLE t4;")
    project.write("0005_t", "CREATE TABLE t5 ();", "DROP TABLE t5;")
    meanwhile(edited)
    assert "0004_t was changed after it was applied" in project("apply", code=4)
    project("repair", "4")

    # A rival applied a later one first.
    project("rollback")
    project("rollback")

    def later() -> None:
        hidden = {path: path.read_text() for path in project.folder.glob("0004*")}
        for path in hidden:
            path.unlink()
        other("apply")
        for path, text in hidden.items():
            path.write_text(text)

    meanwhile(later)
    assert "0004_t is numbered before an already applied migration" in project("apply", "--strict", code=4)
    assert ledgers(conn) == {"public": 4}


# Where it begins, a command, and what another run does meanwhile. All pairs were tried; these are of each kind.
FULL, HALF, NONE = ("apply",), ("apply", "--to", "1"), ("status",)
EMPTY = ("rollback", "--all", "--yes")
MEANWHILE = [
    (NONE, ("apply",), ("apply", "--to", "2")), (HALF, ("apply",), EMPTY), (HALF, ("apply", "--single-transaction"), FULL),
    (FULL, ("rollback", "--count", "2"), ("rollback",)), (FULL, ("rollback", "--to", "1"), EMPTY),
    (FULL, ("rollback", "2"), ("rollback",)), (FULL, EMPTY, ("rollback", "1")), (HALF, ("redo",), FULL),
    (FULL, ("redo",), EMPTY), (HALF, ("mark", "3"), FULL), (FULL, ("unmark", "2"), EMPTY),
    (NONE, ("baseline", "--to", "3", "--yes"), ("apply", "--to", "2")), (FULL, ("repair",), EMPTY),
    (FULL, ("repair", "2"), ("rollback",)),
]  # fmt: skip


def test_each_command_takes_what_another_did_meanwhile(
    project: Project, conn: psycopg.Connection, run_here: Callable, meanwhile: Callable
) -> None:
    did: list[tuple[str, ...]] = []

    def run(words: tuple[str, ...]) -> tuple[int, str]:
        did.append(words)
        result = run_here(*words, "--database", project.database, "--migrations", project.folder)
        return result.code, result.out + result.err

    run(FULL)
    faults = []
    for first, words, second in MEANWHILE:
        conn.execute("DROP TABLE IF EXISTS t1, t2, t3; TRUNCATE _yoyo_migration, _pgyoyo_migration")
        run(first)
        did.clear()
        meanwhile(lambda second=second: run(second))
        code, text = run(words)
        tables = conn.execute("SELECT right(tablename, 1) FROM pg_tables WHERE tablename ~ '^t[0-9]$'").fetchall()
        rows = conn.execute("SELECT substr(migration_id, 4, 1) FROM _yoyo_migration").fetchall()
        # What is marked by hand is not looked at.
        apart = set(tables) != set(rows) and words[0] not in ("mark", "unmark", "baseline")
        if "Traceback" in text or code not in range(5) or apart or (words[0] != "repair" and second not in did):
            faults.append((first, words, second, code, text, tables, rows))
    assert faults == []


def test_redo_chooses_under_the_lock(project: Project, run: Callable, meanwhile: Callable) -> None:
    project("apply", "--to", "1")

    def other() -> None:
        assert run("apply", "--to", "2", "--database", project.database, "--migrations", project.folder).code == 0

    meanwhile(other)
    out = project("redo")
    assert "rolled back 0002_t" in out
    assert "0001_t" not in out


def test_file_whose_own_transaction_only_reads_is_told_why_it_can_not_be_recorded(project: Project) -> None:
    for text in (
        "BEGIN READ ONLY; SELECT 1; COMMIT;",
        "SET TRANSACTION READ ONLY; SELECT 1;",
        "SET transaction_read_only = on;",
    ):
        for header in ("", "-- transactional: false\n"):
            if header and not text.startswith("BEGIN"):
                text = f"BEGIN; {text} COMMIT;"  # noqa: PLW2901 - the same outside a transaction
            project.write("0001_t", header + text)
            words = project("apply", code=1)
            assert "Its transaction is READ ONLY, so nothing can be recorded in it: take that out of the file" in words
