"""Statements described before and after a change: the judgement agrees with what PostgreSQL does when they run."""

import psycopg
import pytest

from pgyoyo.workload.comparison import Effect, effects
from pgyoyo.workload.description import Description, Refusal, describe

SCHEMA = """\
DROP SCHEMA IF EXISTS app CASCADE;
CREATE SCHEMA app;
SET search_path = app;
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN label AS varchar(10);
CREATE TABLE a (id int PRIMARY KEY, lang varchar(5), state mood, note label, n int DEFAULT 0, old text);
CREATE TABLE b (id int PRIMARY KEY, a_id int REFERENCES a);
CREATE VIEW v AS SELECT id, lang FROM a;
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
"""
STATEMENTS = (
    "SELECT id, lang, state FROM a WHERE id = $1",
    "SELECT * FROM a",
    "SELECT a.* FROM a JOIN b ON b.a_id = a.id WHERE b.id = $1",
    "SELECT id FROM v WHERE lang = $1",
    "SELECT * FROM v",
    "SELECT v.id FROM v WHERE v.id = $1 FOR UPDATE",
    "INSERT INTO v (id, lang) VALUES ($1, $2)",
    "SELECT f(n) FROM a",
    "SELECT count(*) FROM b",
    "SELECT note || 'x' FROM a WHERE state = $1",
    "INSERT INTO a (id, lang) VALUES ($1, $2)",
    "INSERT INTO a (id, old) VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET old = excluded.old RETURNING *",
    "UPDATE a SET n = n + $1 WHERE id = $2 RETURNING n",
    "DELETE FROM b USING a WHERE a.id = b.a_id AND a.old = $1",
)
CHANGES = (
    "ALTER TABLE a ADD COLUMN total int",
    "ALTER TABLE a DROP COLUMN old",
    "ALTER TABLE a RENAME COLUMN n TO amount",
    "ALTER TABLE a RENAME TO c",
    "ALTER TABLE a ALTER COLUMN n TYPE bigint",
    "ALTER TABLE a ALTER COLUMN n TYPE text",
    "ALTER TABLE a ALTER COLUMN old TYPE varchar(20)",
    "DROP VIEW v; ALTER TABLE a ALTER COLUMN lang TYPE varchar(9); CREATE VIEW v AS SELECT id, lang FROM a",
    "DROP VIEW v; ALTER TABLE a ALTER COLUMN id TYPE bigint; CREATE VIEW v AS SELECT id, lang FROM a",
    "DROP VIEW v",
    "DROP VIEW v; CREATE VIEW v AS SELECT lang, id FROM a",
    "CREATE OR REPLACE VIEW v AS SELECT a.id, a.lang FROM b LEFT JOIN a ON a.id = b.a_id",
    "CREATE OR REPLACE VIEW v AS SELECT DISTINCT id, lang FROM a",
    "CREATE OR REPLACE VIEW v AS SELECT id, lang, n FROM a",
    "DROP FUNCTION f; CREATE FUNCTION f(int) RETURNS bigint LANGUAGE sql AS 'SELECT $1::bigint'",
    "DROP FUNCTION f; CREATE FUNCTION f(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1'",
    "ALTER TABLE b DROP CONSTRAINT b_a_id_fkey; ALTER TABLE a DROP CONSTRAINT a_pkey",
    "ALTER TYPE mood RENAME TO temper",
    "DROP TABLE b",
    # What breaks nothing:
    "ALTER TABLE b ADD COLUMN c int",
    "CREATE INDEX ON a (lang)",
    "ALTER TABLE a ALTER COLUMN n SET DEFAULT 1",
    "ALTER TYPE mood ADD VALUE 'so-so'",
    "CREATE TABLE d (id int)",
    "COMMENT ON COLUMN a.n IS 'a number'",
    "ALTER TABLE b RENAME CONSTRAINT b_pkey TO b_key",
    "CREATE FUNCTION f(text) RETURNS text LANGUAGE sql AS 'SELECT $1'",
)


def error_of(conn: psycopg.Connection, text: str) -> psycopg.Error | None:
    try:
        conn.execute(text.encode())
    except psycopg.Error as error:
        return error
    return None


def arguments(description: Description | Refusal) -> str:
    assert isinstance(description, Description)
    return f"({', '.join(['NULL'] * len(description.parameters))})" if description.parameters else ""


@pytest.mark.parametrize("change", CHANGES)
def test_the_judgement_of_each_statement_is_what_postgresql_does(conn: psycopg.Connection, change: str) -> None:
    conn.execute(SCHEMA)
    # With NULL for a value the planner leaves out what it would refuse, or refuses what it takes with any other value.
    conn.execute("SET plan_cache_mode = force_generic_plan")
    before = describe(conn, STATEMENTS)
    for number, text in enumerate(STATEMENTS):
        conn.execute(f"PREPARE old{number} AS {text}".encode())
    conn.execute(change.encode())
    for number, (text, was, now) in enumerate(zip(STATEMENTS, before, describe(conn, STATEMENTS), strict=True)):
        judged = effects(was, now)
        fresh = error_of(conn, f"PREPARE fresh{number} AS {text}") or error_of(
            conn, f"EXPLAIN EXECUTE fresh{number}{arguments(was)}"
        )
        assert (Effect.BREAKS in judged) == (fresh is not None), text
        if fresh:
            assert now == Refusal(fresh.diag.message_primary or "", fresh.sqlstate or "")
            continue
        prepared = error_of(conn, f"EXPLAIN EXECUTE old{number}{arguments(was)}")
        # A statement with rows that was prepared before fails once for a changed column, and only for that.
        assert (Effect.COLUMNS in judged) == isinstance(prepared, psycopg.errors.FeatureNotSupported), text
        if prepared and Effect.COLUMNS not in judged:
            assert Effect.PARAMETERS in judged, text


def test_a_statement_is_described_by_its_parameters_and_columns(conn: psycopg.Connection) -> None:
    conn.execute(SCHEMA)
    conn.execute("CREATE PROCEDURE p(int) LANGUAGE sql AS ''")
    texts = ['SELECT state, note AS "a b" FROM a WHERE lang = $1 AND n > $2', "SELECT nothing", "CALL p($1)"]
    selects, refused, calls = describe(conn, texts)
    assert isinstance(selects, Description)
    assert isinstance(calls, Description)
    assert [kind.name for kind in selects.parameters] == ["text", "integer"]
    assert [(name, kind.name) for name, kind in selects.columns] == [
        ("state", "mood"),
        ("a b", "character varying(10)"),
    ]
    assert refused == Refusal('column "nothing" does not exist', "42703")
    assert ([kind.name for kind in calls.parameters], calls.columns) == (["integer"], ())
    assert effects(refused, selects) == frozenset()


def test_hundreds_of_statements_keep_their_order_and_leave_nothing_prepared(conn: psycopg.Connection) -> None:
    texts = [f"SELECT {number} AS n{number}" if number % 3 else "SELECT wrong" for number in range(250)]
    for number, answer in enumerate(describe(conn, texts)):
        assert isinstance(answer, Refusal) == (number % 3 == 0)
        assert isinstance(answer, Refusal) or answer.columns[0][0] == f"n{number}"
    assert conn.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)


def test_a_lost_connection_is_an_error_and_no_endless_wait(conn: psycopg.Connection, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as second:
        second.execute("SELECT pg_terminate_backend(%s, 10000)", (conn.info.backend_pid,))
    with pytest.raises(psycopg.OperationalError):
        describe(conn, ["SELECT 1", "SELECT 2"])
