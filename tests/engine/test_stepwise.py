"""Files outside a transaction: whose role and limits our own statements have, and how a file is resumed in a new session."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection, sql
from psycopg.conninfo import make_conninfo

HEADER = "-- transactional: false\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sql").mkdir()
    return tmp_path / "sql"


@pytest.fixture
def write(folder: Path) -> Callable[[str], None]:
    """Writes the file of the only migration."""

    def write(text: str, name: str = "0001_a") -> None:
        (folder / f"{name}.sql").write_text(HEADER + text)
        (folder / f"{name}.rollback.sql").write_text("SELECT 1;\n")

    return write


@pytest.fixture
def pgyoyo(run_here: Callable, database: str, folder: Path) -> Callable:
    def pgyoyo(*words: str, conninfo: str = database):
        return run_here(*words, "--database", conninfo, "--migrations", folder)

    return pgyoyo


def names(conn: Connection, query: str) -> list[str]:
    return [row[0] for row in conn.execute(query.encode()).fetchall()]


JOURNAL = "SELECT statement || ' ' || state FROM _pgyoyo_journal ORDER BY statement"
INDEXES = "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 't'::regclass ORDER BY 1"


# --- Our own statements are the login role's. ---


@pytest.fixture
def roles(conn: Connection) -> Iterator[tuple[str, str]]:
    """A role that logs in and owns the ledger's schema, and one without rights that it may become."""
    login, owner = f"login_{os.getpid()}", f"owner_{os.getpid()}"
    for text in (
        f"CREATE ROLE {owner}; CREATE ROLE {login} LOGIN; GRANT {owner} TO {login}",
        f"GRANT ALL ON SCHEMA public TO {login}; CREATE SCHEMA app AUTHORIZATION {owner}",
        f"CREATE TABLE app.t (c int); ALTER TABLE app.t OWNER TO {owner}",
    ):
        conn.execute(text.encode())
    yield login, owner
    for role in (login, owner):
        conn.execute(sql.SQL("DROP OWNED BY {0} CASCADE; DROP ROLE {0}").format(sql.Identifier(role)))


SETTINGS = {
    "role": "SET ROLE {owner}",
    "in a function": "SELECT set_config('role', '{owner}', false)",
    "search_path": "SET ROLE {owner}; SET search_path = ''",
    "limits": "SET ROLE {owner}; SET statement_timeout = '1s'; SET lock_timeout = '1s'; SET synchronous_commit = off",
}


@pytest.mark.parametrize("how", SETTINGS)
@pytest.mark.parametrize("fails", [False, True])
def test_journal_ledger_and_lock_are_written_by_the_role_that_logged_in(
    conn: Connection, pgyoyo: Callable, write: Callable, roles: tuple[str, str], how: str, fails: bool
) -> None:
    login, owner = roles
    conninfo = make_conninfo(f"dbname={conn.info.dbname}", host=conn.info.host, port=conn.info.port, user=login)
    text = (
        f"{SETTINGS[how].format(owner=owner)};\nCREATE INDEX CONCURRENTLY i ON app.t (c);\n"
        "COMMENT ON INDEX app.i IS 'x';\nDO $$ BEGIN PERFORM 1; END $$;\n"
    )
    write(text + ("CREATE INDEX CONCURRENTLY i2 ON app.t (nothing);\n" if fails else ""))
    result = pgyoyo("apply", conninfo=conninfo)
    assert names(conn, "SELECT pid FROM yoyo_lock") == []
    owners = "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname IN ('_pgyoyo_journal', 'yoyo_lock')"
    assert names(conn, owners) == [login]
    assert names(conn, "SELECT relowner::regrole::text FROM pg_class WHERE relname = 'i'") == [owner]
    if fails:
        assert result.code == 1, result.err
        assert 'column "nothing" does not exist' in result.err
        write(text)
        result = pgyoyo("apply", conninfo=conninfo)
    assert result.code == 0, result.err
    assert names(conn, JOURNAL) == []
    assert names(conn, "SELECT applied_by FROM _pgyoyo_migration") == [login]


def test_session_authorization_of_the_file_stays_the_file_s(
    conn: Connection, pgyoyo: Callable, write: Callable, roles: tuple[str, str]
) -> None:
    login, owner = roles
    write(
        f"SET SESSION AUTHORIZATION {login};\nSET ROLE {owner};\nCREATE TABLE app.u (i int);\n"
        "CREATE INDEX CONCURRENTLY i ON app.t (c);\n"
        "CREATE TABLE app.who AS SELECT session_user::text AS s, current_user::text AS c;\n"
    )
    result = pgyoyo("apply")
    assert result.code == 0, result.err
    assert conn.execute("SELECT * FROM app.who").fetchall() == [(login, owner)]
    assert names(conn, "SELECT applied_by FROM _pgyoyo_migration") == [conn.info.user]


def test_journal_is_written_where_the_file_makes_its_session_read_only(pgyoyo: Callable, write: Callable) -> None:
    write("SET default_transaction_read_only = on;\nDO $$ BEGIN PERFORM 1; END $$;\nSELECT 1;\n")
    result = pgyoyo("apply")
    assert result.code == 0, result.err


# --- Its limits are the file's. ---


@pytest.mark.parametrize("statement", ["CREATE TABLE limits AS {}", "DO $$ BEGIN CREATE TABLE limits AS {}; END $$"])
def test_limits_that_the_file_sets_are_not_overwritten(
    conn: Connection, pgyoyo: Callable, write: Callable, statement: str
) -> None:
    shown = "SELECT current_setting('lock_timeout') AS l, current_setting('statement_timeout') AS s"
    own = "SET lock_timeout = '7s';\nSELECT set_config('statement_timeout', '11s', false);\n"
    write(f"-- lock-timeout: 3s\n-- statement-timeout: 5s\n{own}{statement.format(shown)};\n")
    result = pgyoyo("apply")
    assert result.code == 0, result.err
    assert conn.execute("SELECT l, s FROM limits").fetchall() == [("7s", "11s")]


@pytest.mark.parametrize("statement", ["CREATE TABLE limits AS {}", "DO $$ BEGIN CREATE TABLE limits AS {}; END $$"])
def test_limits_of_the_header_hold_where_the_file_sets_none(
    conn: Connection, pgyoyo: Callable, write: Callable, statement: str
) -> None:
    shown = "SELECT current_setting('lock_timeout') AS l, current_setting('statement_timeout') AS s"
    write(f"-- lock-timeout: 3s\n-- statement-timeout: 5s\nVACUUM pg_class;\n{statement.format(shown)};\n")
    result = pgyoyo("apply")
    assert result.code == 0, result.err
    assert conn.execute("SELECT l, s FROM limits").fetchall() == [("3s", "5s")]


# --- Resumed in a new session. ---

REPEATED = {
    "set": "SET search_path = app",
    "set_config": "SELECT set_config('search_path', 'app', false)",
    "role": "SET ROLE {owner}; SELECT pg_catalog.set_config('search_path', 'app', false)",
    "reset": "SET search_path = ''; SET search_path = app; RESET work_mem",
    "discard": "SET search_path = nowhere; DISCARD PLANS; SET SESSION search_path TO app",
    "pg_settings": "UPDATE pg_settings SET setting = 'app' WHERE name = 'search_path'",
    "prepare": "SET search_path = app; PREPARE make AS SELECT 1",
}


@pytest.mark.parametrize("how", REPEATED)
def test_resumed_file_has_the_session_it_had(
    conn: Connection, pgyoyo: Callable, write: Callable, roles: tuple[str, str], how: str
) -> None:
    start = f"{REPEATED[how].format(owner=roles[1])};\nCREATE TABLE one (i int);\n"
    write(f"{start}CREATE TABLE two (i int CHECK (nothing));\n")
    assert pgyoyo("apply").code == 1
    write(f"{start}CREATE TABLE two (i int);\n{'EXECUTE make;' if how == 'prepare' else ''}\n")
    result = pgyoyo("apply")
    assert result.code == 0, result.err
    where = "SELECT relnamespace::regnamespace::text FROM pg_class WHERE relname IN ('one', 'two')"
    assert names(conn, where) == ["app", "app"]


@pytest.mark.parametrize(
    "word", ["SET client_encoding = 'LATIN1'", "SELECT set_config('client_encoding', 'LATIN1', false)"]
)
def test_resumed_file_is_read_in_the_encoding_that_it_set(
    conn: Connection, database: str, run_here: Callable, tmp_path: Path, word: str
) -> None:
    """As psql sends it: the bytes of the file, which the server takes for that encoding; our own notes are not."""
    name, folder = "0001_größe", tmp_path / "sql"
    folder.mkdir()
    text = (
        f"-- transactional: false\n{word};\nCREATE TABLE one AS SELECT 'é' x;\nCREATE TABLE two AS SELECT 'é' x{{}};\n"
    )
    (folder / f"{name}.rollback.sql").write_text("DROP TABLE one, two;")
    for fault, code in ((", nothing", 1), ("", 0)):
        (folder / f"{name}.sql").write_text(text.format(fault))
        result = run_here("apply", "--database", database, "--migrations", folder)
        assert result.code == code, result.err
        journal = names(conn, "SELECT DISTINCT migration_id FROM _pgyoyo_journal")
        assert journal == ([name] if code else [])
    assert names(conn, "SELECT x FROM one UNION ALL SELECT x FROM two") == ["Ã©", "Ã©"]
    assert names(conn, "SELECT migration_id FROM _yoyo_migration") == [name]


LOST = {
    "CREATE TEMP TABLE held AS SELECT 1": "statement 1 made held as a temporary object",
    "SELECT 1 AS i INTO TEMPORARY held": "statement 1 made held as a temporary object",
    "CREATE FUNCTION pg_temp.held() RETURNS int LANGUAGE sql AS 'SELECT 1'": "statement 1 made held as a temporary object",
    "DECLARE held CURSOR WITH HOLD FOR SELECT 1": "statement 1 opened the cursor held",
    "DO $$ BEGIN SET ROLE postgres; END $$": "statement 1 set something of its session in code",
    "DO $$ DECLARE q text := 'SET a.b = 1'; BEGIN EXECUTE q; END $$": "statement 1 set something of its session in code",
    "DO $$ BEGIN PERFORM set_config('a.b', 'x', false); END $$": "statement 1 set something of its session in code",
    "CREATE TABLE x AS SELECT set_config('a.b', 'x', false)": "statement 1 called set_config beside other work",
}


@pytest.mark.parametrize("how", ["SELECT {}()", "DO $$ BEGIN PERFORM {}(); END $$", "CREATE TABLE x AS SELECT {}()"])
def test_file_that_called_what_sets_something_is_refused_when_resumed(
    conn: Connection, pgyoyo: Callable, write: Callable, how: str
) -> None:
    conn.execute("CREATE FUNCTION sets() RETURNS text LANGUAGE sql AS $$SELECT set_config('a.b', 'x', false)$$")
    conn.execute("CREATE FUNCTION nested() RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN sets(); END'")
    conn.execute("CREATE FUNCTION harmless() RETURNS text LANGUAGE sql AS $$SELECT set_config('a.b', 'x', true)$$")
    for name, code in (("harmless", 0), ("nested", 1)):
        text = how.format(name).replace("TABLE x", f"TABLE of_{name}")
        write(f"{text};\nCREATE TABLE fails (i int CHECK (nothing));\n")
        assert pgyoyo("apply").code == 1
        write(f"{text};\nDROP TABLE IF EXISTS fails;\n")
        result = pgyoyo("apply")
        assert result.code == code, result.err
        assert ("statement 1 set something of its session in code of sets" in result.err) == bool(code)
        pgyoyo("unmark", "1")


FIRES = (
    "INSERT INTO t VALUES (1)", "WITH x AS (DELETE FROM public.t RETURNING 1) SELECT FROM x", "TRUNCATE t",
    "DO $$ BEGIN UPDATE ONLY t SET i = 2; END $$", "SELECT writes()", "CREATE TABLE x ()",
)  # fmt: skip


@pytest.mark.parametrize("sets", [True, False])
def test_file_whose_triggers_set_something_is_refused_when_resumed(
    conn: Connection, pgyoyo: Callable, write: Callable, *, sets: bool
) -> None:
    code = f"PERFORM set_config('a.b', 'x', {not sets})".lower()
    conn.execute(
        f"""CREATE TABLE t (i int);
        CREATE FUNCTION sets() RETURNS void LANGUAGE plpgsql AS $$ BEGIN {code}; END $$;
        CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM sets(); RETURN NULL; END $$;
        CREATE FUNCTION fires_too() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN {code}; END $$;
        CREATE FUNCTION writes() RETURNS void LANGUAGE sql AS 'INSERT INTO t VALUES (3)';
        CREATE TRIGGER a AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON t EXECUTE FUNCTION fires();
        CREATE EVENT TRIGGER a ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION fires_too()""".encode()
    )
    for number, statement in enumerate(FIRES, start=1):
        write(f"{statement.replace('TABLE x', f'TABLE x{number}')};\nSELECT 1 / 0;\n")
        assert pgyoyo("apply").code == 1
        write(f"{statement.replace('TABLE x', f'TABLE x{number}')};\nSELECT 1;\n")
        result = pgyoyo("apply")
        assert result.code == int(sets), (statement, result.err)
        assert ("statement 1 set something of its session in code of" in result.err) == sets
        pgyoyo("unmark", "1")
        conn.execute("DELETE FROM _pgyoyo_journal")


@pytest.mark.parametrize("statement", LOST)
def test_file_whose_session_can_not_be_had_again_is_refused_with_the_reason(
    conn: Connection, pgyoyo: Callable, write: Callable, statement: str
) -> None:
    write(f"{statement};\nCREATE TABLE fails (held int CHECK (nothing));\n")
    assert pgyoyo("apply").code == 1
    write(f"{statement};\nCREATE TABLE fails (held int);\n")
    result = pgyoyo("apply")
    assert result.code == 1
    assert LOST[statement] in result.err
    assert "which ended with its session, so the file can't be resumed at statement 2" in result.err
    assert names(conn, "SELECT relname::text FROM pg_class WHERE relname = 'fails'") == []
    assert pgyoyo("mark", "1").code == 0
    assert "interrupted" not in pgyoyo("status").out
    assert pgyoyo("apply").code == 0


@pytest.mark.parametrize(
    "statement", ["CREATE TEMP TABLE held AS SELECT 1", "DO $$ BEGIN PERFORM set_config('a.b', 'x', true); END $$"]
)
def test_what_ended_with_the_session_does_not_matter_where_nothing_needs_it(
    pgyoyo: Callable, write: Callable, statement: str
) -> None:
    write(f"{statement};\nCREATE TABLE fails (i int CHECK (nothing));\n")
    assert pgyoyo("apply").code == 1
    write(f"{statement};\nCREATE TABLE fails (i int);\n")
    result = pgyoyo("apply")
    assert result.code == 0, result.err


# --- What only the server knows to be alone. ---


def test_statement_that_the_server_will_not_have_in_a_transaction_is_sent_alone(
    conn: Connection, pgyoyo: Callable, write: Callable
) -> None:
    conn.execute("CREATE TABLE p (i int) PARTITION BY RANGE (i)")
    conn.execute("CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9); CREATE INDEX p_i ON p (i)")
    before = names(conn, "SELECT pg_relation_filenode(indexrelid) FROM pg_index WHERE indrelid = 'p1'::regclass")
    # CLUSTER takes a partitioned table from PostgreSQL 15 on.
    cluster = "CLUSTER p USING p_i;\n" if conn.info.server_version >= 150000 else ""
    write(f"CREATE TABLE one ();\nREINDEX TABLE p;\n{cluster}CREATE TABLE two ();\n")
    result = pgyoyo("apply")
    assert result.code == 0, result.err
    assert (
        names(conn, "SELECT pg_relation_filenode(indexrelid) FROM pg_index WHERE indrelid = 'p1'::regclass") != before
    )
    assert names(conn, "SELECT relname::text FROM pg_class WHERE relname IN ('one', 'two') ORDER BY 1") == [
        "one",
        "two",
    ]


@pytest.mark.parametrize(
    ("text", "words", "advice"),
    [
        ("REINDEX TABLE p;", "25001", 'add the line "-- transactional: false" to the file\'s header'),
        ("DO $$ BEGIN COMMIT; END $$;", "2D000", 'add the line "-- transactional: false" to the file\'s header'),
        ("CALL ends();", "2D000", 'add the line "-- transactional: false" to the file\'s header'),
        ("SET statement_timeout = '10ms'; SELECT pg_sleep(5);", "57014", 'header line "-- statement-timeout: 10min"'),
    ],
)
def test_error_names_the_header_line_that_the_statement_needs(
    conn: Connection, pgyoyo: Callable, folder: Path, text: str, words: str, advice: str
) -> None:
    conn.execute("CREATE TABLE p (i int) PARTITION BY RANGE (i)")
    conn.execute("CREATE PROCEDURE ends() LANGUAGE plpgsql AS 'BEGIN COMMIT; END'")
    (folder / "0001_a.sql").write_text(text)
    result = pgyoyo("apply")
    assert result.code == 1
    assert words in result.err
    assert advice in result.err, result.err


@pytest.mark.parametrize("header", ["", HEADER])
def test_code_that_runs_what_no_transaction_takes_gets_an_advice_that_helps(
    pgyoyo: Callable, folder: Path, header: str
) -> None:
    (folder / "0001_a.sql").write_text(header + "CREATE TABLE t ();\nDO $$ BEGIN EXECUTE 'VACUUM t'; END $$;")
    result = pgyoyo("apply")
    assert (result.code, "write it as a statement of its own" in result.err) == (1, True)
    assert "Fix the file, then run" in result.err


def test_what_the_file_is_not_to_blame_for_or_hides_gets_an_advice(pgyoyo: Callable, folder: Path) -> None:
    for text, words in (
        ("CREATE EXTENSION nosuch;", "Install it on the server, or take it out of the file, then run"),
        ("SELECT 1;\nSELECT \u2018a\u2019;", "SQLSTATE 42703)\n\u2018 (U+2018) is a letter to PostgreSQL; write '"),
        ("SELECT 1;\n=======\n", "SQLSTATE 42601)\nThat line is left from a merge conflict; resolve it"),
    ):
        (folder / "0001_a.sql").write_text(text)
        result = pgyoyo("apply")
        assert (result.code, words in result.err) == (1, True), result.err


# --- What an earlier attempt left. ---


def test_unnamed_index_that_fails_twice_leaves_no_invalid_one(
    conn: Connection, pgyoyo: Callable, write: Callable
) -> None:
    conn.execute("CREATE TABLE t (c int, d int); INSERT INTO t VALUES (1, 1), (1, 2)")
    conn.execute("CREATE INDEX t_c_idx ON t (c)")  # as good as ours, and not ours to drop
    write("CREATE UNIQUE INDEX CONCURRENTLY ON t (c);\n")
    for _ in range(2):
        assert pgyoyo("apply").code == 1
    assert names(conn, INDEXES) == ["t_c_idx", "t_c_idx1"]
    conn.execute("DELETE FROM t WHERE d = 2")
    result = pgyoyo("apply")
    assert result.code == 0, result.err
    assert "dropping the invalid index t_c_idx1 that an earlier attempt left" in result.err
    assert names(conn, INDEXES) == ["t_c_idx", "t_c_idx1"]
    assert names(conn, "SELECT indisvalid FROM pg_index WHERE NOT indisvalid") == []


def test_invalid_index_of_another_shape_is_left_alone(conn: Connection, pgyoyo: Callable, write: Callable) -> None:
    conn.execute("CREATE TABLE t (c int, d int); INSERT INTO t VALUES (1, 1), (1, 1)")
    for text in ("ON t (d)", "ON t (c, d)", "mine ON t (c)", "ON t (c) WHERE c > 0"):
        with pytest.raises(psycopg.errors.UniqueViolation):
            conn.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {text}".encode())
    before = names(conn, INDEXES)
    write("CREATE UNIQUE INDEX CONCURRENTLY ON t (c);\n")
    assert pgyoyo("apply").code == 1
    conn.execute("TRUNCATE t")
    assert pgyoyo("apply").code == 0
    assert [name for name in before if name in names(conn, INDEXES)] == before


@pytest.fixture
def half_detached(conn: Connection, database: str) -> None:
    """A partition whose DETACH CONCURRENTLY was cancelled between its two transactions."""
    conn.execute(
        "CREATE TABLE p (i int) PARTITION BY RANGE (i); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9)"
    )
    with psycopg.connect(database) as reader:
        reader.execute("SELECT * FROM p")
        conn.execute("SET statement_timeout = '200ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            conn.execute("ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY")
        conn.execute("RESET statement_timeout")


@pytest.mark.parametrize("state", ["started", "failed"])
def test_partition_that_is_half_detached_is_finished(
    conn: Connection, pgyoyo: Callable, write: Callable, half_detached: None, state: str
) -> None:
    write("ALTER TABLE p DETACH PARTITION nothing CONCURRENTLY;\n")
    assert pgyoyo("apply").code == 1
    write("ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY;\nCREATE TABLE two ();\n")
    conn.execute("UPDATE _pgyoyo_journal SET state = %s", [state])
    result = pgyoyo("apply")
    assert result.code == 0, result.err
    assert 'finishing to detach "p1" from "p", which an earlier attempt had begun' in result.err
    assert names(conn, "SELECT inhrelid FROM pg_inherits WHERE inhparent = 'p'::regclass") == []
    assert names(conn, "SELECT relname::text FROM pg_class WHERE relname = 'p1'") == ["p1"]


# --- How long it took. ---


def test_time_of_a_file_begins_with_its_first_statement(conn: Connection, pgyoyo: Callable, write: Callable) -> None:
    conn.execute(
        "CREATE FUNCTION slow(i int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.3); RETURN i; END'"
    )
    conn.execute("CREATE TABLE t (c int); INSERT INTO t VALUES (1)")
    write("CREATE INDEX CONCURRENTLY i ON t (slow(c));\n")
    write("SELECT pg_sleep(0.3);\n", "0002_b")
    assert pgyoyo("apply").code == 0
    took = "SELECT finished_at - started_at >= interval '0.3 s' FROM _pgyoyo_migration"
    assert names(conn, took) == [True, True]
