"""A backfill ends, whatever its rows become, with what one UPDATE leaves; and it says which rows still satisfy its WHERE."""

import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection

from filling import BATCHED, FIRES, folder, one
from pgyoyo.backfill.repeats import with_repeats
from pgyoyo.backfill.tables import find
from pgyoyo.cli.main import main  # noqa: F401 - the entry point that run_here calls
from pgyoyo.engine.blockers import Watcher
from pgyoyo.sql import parser
from pgyoyo.sql.batched_file import statements


@pytest.fixture
def fill(run_here: Callable, database: str, tmp_path: Path) -> Callable:
    """Applies one backfill."""
    sql = folder(tmp_path)

    def fill(update: str, *args: str, header: str = BATCHED):
        (sql / "0001_fill.sql").write_text(header + update)
        return run_here("apply", "--database", database, "--migrations", "sql", *args, cwd=tmp_path)

    return fill


# One row of 4,000, outside of every sample, becomes another value than was set: rounded, padded, by a FROM, by a trigger.
ROWS = "SELECT i AS id, {value} AS a, repeat('x', 400) AS pad FROM generate_series(1, 4000) i"
EVEN = "UPDATE t SET c = a WHERE c IS DISTINCT FROM a"
STAYS = {
    "rounding": ("numeric", "numeric(9,1)", "i + CASE WHEN i = 777 THEN 0.25 ELSE 0 END", EVEN, ""),
    "padding": ("text", "char(5)", "CASE WHEN i = 777 THEN 'a ' ELSE 'a' END", EVEN, ""),
    "date": ("timestamp", "date", "CASE WHEN i = 777 THEN '2020-01-01 10:00' ELSE '2020-01-01' END::timestamp", EVEN, ""),
    "single precision": ("float8", "float4", "CASE WHEN i = 777 THEN 0.1 ELSE 2 END::float8", EVEN, ""),
    "two matches": ("int", "int", "i", "UPDATE t SET c = u.v FROM u WHERE u.id = t.id AND t.c IS DISTINCT FROM u.v",
                    ("CREATE TABLE u (id int, v int); CREATE INDEX ON u (id);"
                     "INSERT INTO u SELECT i, i FROM generate_series(1, 4000) i; INSERT INTO u VALUES (777, -1)")),
    "kept by a trigger": ("int", "int", "i", "UPDATE t SET c = a WHERE c IS NULL",
                          FIRES.format(body="IF OLD.id = 777 THEN RETURN NULL; END IF;")),
    "put back by a trigger": ("int", "int", "i", "UPDATE t SET c = a WHERE c IS NULL",
                              FIRES.format(body="IF OLD.id = 777 THEN NEW.c := OLD.c; END IF;")),
}  # fmt: skip


def make(conn: Connection, kind: str) -> str:
    stored, column, value, update, setup = STAYS[kind]
    conn.execute(f"CREATE TABLE t (id int PRIMARY KEY, a {stored}, pad text, c {column})".encode())
    conn.execute(f"INSERT INTO t {ROWS.format(value=value)}".encode())
    conn.execute(setup.encode() or b"SELECT")
    return update


@pytest.mark.parametrize("kind", STAYS)
def test_row_that_stays_as_one_update_leaves_it_is_counted_and_shown(
    kind: str, conn: Connection, fill: Callable
) -> None:
    update = make(conn, kind)
    result = fill(update)
    assert result.code == 0, result.err
    assert "1 row of t still satisfies the WHERE: id = 777: c is " in result.out
    assert f"    {3999 if kind == 'kept by a trigger' else 4000:,} rows in" in result.out
    assert one(conn, "SELECT count(*) FROM t WHERE c IS NULL") == ("trigger" in kind)
    # No more dead rows than two updates of the row leave.
    assert one(conn, "SELECT pg_relation_size('t') < 3 * 8192 * 250") is True


@pytest.mark.parametrize("kind", ["rounding", "padding", "date", "single precision"])
@pytest.mark.parametrize("rows", [4000, 30])
def test_assignment_that_changes_the_value_is_refused_before_the_first_batch(
    kind: str, rows: int, conn: Connection, fill: Callable
) -> None:
    update = make(conn, kind)
    conn.execute("UPDATE t SET a = (SELECT a FROM t WHERE id = 777) WHERE id > 10")
    conn.execute("DELETE FROM t WHERE id > %s", [rows])
    result = fill(update)
    assert result.code == 1
    stored = STAYS[kind][1].replace("char(5)", "character(5)").replace("float4", "real")
    assert f"after it is updated; c ({stored}) " in result.err
    assert f"Write the value as the column holds it, in the SET and in the WHERE: a::{stored}\n" in result.err
    assert one(conn, "SELECT count(*) FROM t WHERE c IS NOT NULL") == 0
    result = fill(f"UPDATE t SET c = a::{stored} WHERE c IS DISTINCT FROM t.a::{stored}")
    assert result.code == 0, result.err
    assert one(conn, "SELECT count(*) FROM t WHERE c IS NULL") == 0


def test_value_of_which_the_condition_stays_true_is_shown(conn: Connection, fill: Callable) -> None:
    conn.execute("CREATE TYPE p AS (x int, y text); CREATE TABLE t (id int, c p); INSERT INTO t VALUES (1, NULL)")
    result = fill("UPDATE t SET c = ROW(NULL, NULL)::p WHERE c IS NULL")
    assert result.code == 1
    assert "after it is updated; c (p) is (,) then, of which the WHERE is true as well\n" in result.err


def test_all_rows_stay_and_the_triggers_fire_all_the_same(conn: Connection, fill: Callable) -> None:
    """As many rows as one look brings and more: none is updated a third time."""
    make(conn, "put back by a trigger")
    conn.execute("CREATE SEQUENCE s")
    conn.execute("CREATE OR REPLACE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS "
                 "$$ BEGIN PERFORM nextval('s'); NEW.c := NULL; RETURN NEW; END $$")  # fmt: skip
    result = fill("UPDATE t SET c = a WHERE c IS NULL", header="-- backfill: batched, triggers fire\n")
    assert result.code == 0, result.err
    assert "4,000 rows of t still satisfy the WHERE: id = " in result.out
    assert "    4,000 rows in" in result.out
    assert int(str(one(conn, "SELECT last_value FROM s"))) < 3 * 4000


def test_second_update_that_would_add_up_is_not_made(conn: Connection, fill: Callable) -> None:
    make(conn, "put back by a trigger")
    conn.execute("ALTER TABLE t ADD n int NOT NULL DEFAULT 0")
    result = fill("UPDATE t SET c = coalesce(a, 0), n = n + 1 WHERE c IS NULL")
    assert result.code == 1, result.out
    assert "1 row of t still satisfies the WHERE after the UPDATE, and its SET reads what it sets, so " in result.err
    assert "give what one gives: id = 777: c is NULL, n is 1 where the UPDATE gives 777, 2;" in result.err
    assert one(conn, "SELECT count(*) FROM t WHERE n > 1 OR n = 1 AND c IS NULL") == 0


@pytest.mark.parametrize("rows", [30, 4000])
def test_no_rows_and_rows_with_a_null_value_are_words_of_their_own(rows: int, conn: Connection, fill: Callable) -> None:
    conn.execute("CREATE TABLE t (id int PRIMARY KEY, a int, c int, pad text)")
    conn.execute("INSERT INTO t SELECT i, i, i, repeat('x', 400) FROM generate_series(1, %s::int) i", [rows])
    conn.execute("UPDATE t SET a = NULL, c = NULL WHERE id = 3")
    result = fill("UPDATE t SET c = a WHERE c IS NULL")
    assert result.code == 0, result.err
    assert "    no rows to update\n" in result.out
    assert "1 row of t still satisfies the WHERE: id = 3: c is NULL" in result.out
    assert "batches" not in result.out


WHENS = {
    "old": "OLD.id = 2777",
    "new": "NEW.c = 2777",
    "both": "OLD.c IS DISTINCT FROM NEW.c AND NEW.pad || 'x' = NEW.pad || 'x' AND NEW.c + OLD.id = 5554",
}


@pytest.mark.parametrize("kind", WHENS)
def test_trigger_is_tried_on_a_row_that_its_condition_names(kind: str, conn: Connection, fill: Callable) -> None:
    update = make(conn, "put back by a trigger")
    conn.execute("CREATE OR REPLACE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS "
                 "$$ BEGIN NEW.pad := 'fired'; RETURN NEW; END $$; DROP TRIGGER fired ON t")  # fmt: skip
    trigger = f"CREATE TRIGGER fired BEFORE UPDATE ON t FOR EACH ROW WHEN ({WHENS[kind]}) EXECUTE FUNCTION fires()"
    conn.execute(trigger.encode())
    result = fill(update)
    assert result.code == 1
    assert "a trigger of t (fired) also changes column pad (1 of 1 rows; xxx" in result.err
    assert "→ fired). Nothing was changed." in result.err
    assert one(conn, "SELECT count(*) FROM t WHERE c IS NOT NULL") == 0


def make_serializable(conn: Connection) -> None:
    """A table whose trigger writes down the isolation level, in a database where that is another by default."""
    make(conn, "put back by a trigger")
    conn.execute("CREATE OR REPLACE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS "
                 "$$ BEGIN NEW.pad := current_setting('transaction_isolation'); RETURN NEW; END $$")  # fmt: skip
    name = one(conn, "SELECT current_database()")
    conn.execute(f'ALTER DATABASE "{name}" SET default_transaction_isolation = serializable'.encode())


def test_batches_are_read_committed_and_their_triggers_named(conn: Connection, database: str, fill: Callable) -> None:
    make_serializable(conn)
    result = fill("UPDATE t SET c = a WHERE c IS NULL", header="-- backfill: batched, triggers fire\n")
    assert result.code == 0, result.err
    assert (
        "triggers of t: fired (BEFORE: sets pad); tried on 30 rows: also changes column pad (10 of 10 rows; xxx"
        in result.err
    )
    assert one(conn, "SELECT count(*) FROM t WHERE pad <> 'read committed'") == 0


MANY = """
CREATE TABLE log (id int); CREATE TABLE parted (LIKE t) PARTITION BY RANGE (id);
ALTER TABLE parted ATTACH PARTITION t DEFAULT;
CREATE FUNCTION sets() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  IF OLD.id > 0 THEN NEW."a" := NEW.c; new.pad = 'é'; END IF; RETURN NEW; END $$;
CREATE FUNCTION logs() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (1); UPDATE log SET id = 2;
  RETURN NULL; END $$;
CREATE FUNCTION keeps() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF false THEN RETURN NULL; END IF; RETURN NEW; END $$;
CREATE FUNCTION composes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT 1'; RETURN NEW; END $$;
CREATE TRIGGER "a 1" BEFORE INSERT OR UPDATE OF id, c ON parted FOR EACH ROW EXECUTE FUNCTION sets();
CREATE TRIGGER b AFTER UPDATE ON t FOR EACH STATEMENT EXECUTE FUNCTION logs();
CREATE TRIGGER c BEFORE UPDATE ON t FOR EACH ROW WHEN (false) EXECUTE FUNCTION keeps();
CREATE TRIGGER d BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION composes(); ALTER TABLE t ENABLE ALWAYS TRIGGER d;
CREATE TRIGGER e BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE TRIGGER off BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION sets(); ALTER TABLE t DISABLE TRIGGER off;
CREATE TRIGGER of_id BEFORE UPDATE OF id ON t FOR EACH ROW EXECUTE FUNCTION sets();
CREATE TRIGGER inserted BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION sets();
CREATE TRIGGER replicated BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION keeps();
ALTER TABLE t ENABLE REPLICA TRIGGER replicated
"""


def test_each_trigger_that_fires_is_named_with_what_it_does(conn: Connection, fill: Callable) -> None:
    conn.execute(
        "CREATE TABLE t (id int NOT NULL, a int, c int, pad text); INSERT INTO t SELECT i, i FROM generate_series(1, 9) i"
    )
    conn.execute(MANY.encode())
    update = "UPDATE t SET c = 1 WHERE c IS NULL"
    result = fill(update, header="-- backfill: batched, triggers fire\n")
    assert result.code == 0, result.err
    assert ("0001_fill: triggers of t: a 1 (BEFORE: sets \"a\", pad), b (AFTER, once a batch: writes to log), "
            "c (BEFORE: may leave rows out), d (BEFORE: runs SQL that it composes), "
            "e (BEFORE: what it does can't be seen (language internal)); tried on 9 rows: also ") in result.err  # fmt: skip


SKIPPED = "-- backfill: batched, triggers skip\n"


@pytest.mark.parametrize("enable", ["ALWAYS", "REPLICA", ""])
def test_trigger_that_fires_though_triggers_are_skipped_stops_it(enable: str, conn: Connection, fill: Callable) -> None:
    make(conn, "put back by a trigger")
    conn.execute("CREATE OR REPLACE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS "
                 "$$ BEGIN NEW.pad := 'fired'; RETURN NEW; END $$")  # fmt: skip
    conn.execute(f"ALTER TABLE t ENABLE {enable} TRIGGER fired".encode())
    result = fill("UPDATE t SET c = a WHERE c IS NULL", header=SKIPPED)
    assert result.code == bool(enable), result.err
    assert ("(fired) also changes column pad (10 of 10 rows; xxx" in result.err) is bool(enable)
    assert ('"triggers skip" does not skip it (ENABLE ALWAYS or REPLICA)' in result.err) is bool(enable)
    assert one(conn, "SELECT count(*) FROM t WHERE pad = 'fired'") == 0


def test_serialization_failure_is_no_lock_that_was_not_to_be_had() -> None:
    watcher = Watcher()
    assert "could not serialize access" in watcher.words(psycopg.errors.SerializationFailure(), 100)
    assert "lock" not in watcher.words(psycopg.errors.SerializationFailure(), 100)


READERS = {
    "SQL": "CREATE FUNCTION f() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1; SELECT max(c) FROM t;'",
    "SQL of the standard": "CREATE FUNCTION f() RETURNS int STABLE BEGIN ATOMIC SELECT max(c) FROM t; END",
    "PL/pgSQL": "CREATE FUNCTION f() RETURNS int STABLE LANGUAGE plpgsql AS 'DECLARE n int; BEGIN "
    "n := (SELECT max(c) FROM t); RETURN n; END'",
    "view": "CREATE VIEW v AS SELECT c FROM t; CREATE FUNCTION f() RETURNS int STABLE LANGUAGE sql AS 'SELECT max(c) FROM v'",
    "a function of it": "CREATE FUNCTION g() RETURNS int STABLE LANGUAGE sql AS 'SELECT max(c) FROM t';"
    "CREATE FUNCTION f() RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN public.g(); END'",
    "operator": "CREATE FUNCTION g(int, int) RETURNS int STABLE LANGUAGE sql AS 'SELECT max(c) FROM t';"
    "CREATE OPERATOR @@@ (LEFTARG = int, RIGHTARG = int, FUNCTION = g);"
    "CREATE FUNCTION f() RETURNS int STABLE LANGUAGE sql AS 'SELECT 1 @@@ 2'",
    "aggregate": "CREATE FUNCTION g(int, int) RETURNS int STABLE LANGUAGE sql AS 'SELECT max(c) FROM t';"
    "CREATE AGGREGATE most(int) (SFUNC = g, STYPE = int);"
    "CREATE FUNCTION f() RETURNS int STABLE LANGUAGE sql AS 'SELECT public.most(1)'",
    "trigger": "CREATE FUNCTION f() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';"
    "CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM max(c) FROM t; RETURN NEW; END';"
    "CREATE TRIGGER reads BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION g()",
    "as a column": "CREATE FUNCTION f(t) RETURNS int STABLE LANGUAGE sql AS 'SELECT max(c) FROM t'",
    "as a field": "CREATE FUNCTION f(t) RETURNS int STABLE LANGUAGE sql AS 'SELECT max(c) FROM t'",
    "cast": "CREATE TYPE q AS (v int); CREATE FUNCTION f(q) RETURNS int STABLE LANGUAGE sql AS 'SELECT max(c) FROM t';"
    "CREATE CAST (q AS int) WITH FUNCTION f(q)",
    "of a view": "CREATE FUNCTION f() RETURNS int STABLE LANGUAGE sql AS 'SELECT max(c) FROM t';"
    "CREATE VIEW w AS SELECT f() AS n; CREATE VIEW v AS TABLE w",
    "view in a function": "CREATE FUNCTION g() RETURNS int STABLE LANGUAGE sql AS 'SELECT max(c) FROM t';"
    "CREATE VIEW v AS SELECT g() AS n; CREATE FUNCTION f() RETURNS int STABLE LANGUAGE sql AS 'SELECT n FROM v'",
    "domain": "CREATE FUNCTION f(int) RETURNS bool STABLE LANGUAGE sql AS 'SELECT max(c) < $1 FROM t';"
    "CREATE DOMAIN d AS int CHECK (f(value))",
    "dynamic": "CREATE FUNCTION f() RETURNS int STABLE LANGUAGE plpgsql AS "
    "$$ DECLARE n int; BEGIN EXECUTE 'SELECT max(c) FROM ' || 't' INTO n; RETURN n; END $$",
}
CALLS = {"as a column": "t.f", "as a field": "(t).f", "cast": "row(1)::q::int", "of a view": "(SELECT n FROM v)",
         "domain": "id::d"}  # fmt: skip


@pytest.mark.parametrize("kind", READERS)
def test_function_that_may_read_the_table_is_refused_or_allowed_by_the_header(
    kind: str, conn: Connection, fill: Callable
) -> None:
    conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, c int); INSERT INTO t SELECT i, i FROM generate_series(1, 9) i"
    )
    conn.execute(READERS[kind].encode())
    update = f"UPDATE t SET c = coalesce({CALLS.get(kind, '(SELECT f())')}, a) WHERE c IS NULL"
    result = fill(update)
    assert result.code == 1
    assert "sql/0001_fill.sql:2: can't run in batches: " in result.err
    assert ("what f() reads can't be seen" if kind == "dynamic" else "other batches will have changed") in result.err
    result = fill(update, header="-- backfill: batched, functions fire\n")
    assert result.code == 0, result.err


def test_trigger_that_does_more_for_rows_of_one_batch_stops_it_there(conn: Connection, fill: Callable) -> None:
    """Rows between the windows that are tried before the first batch: those of the batch itself are."""
    make(conn, "put back by a trigger")
    conn.execute("CREATE OR REPLACE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS "
                 "$$ BEGIN IF OLD.id BETWEEN 1200 AND 1400 THEN NEW.pad := 'fired'; END IF; RETURN NEW; END $$")  # fmt: skip
    result = fill("UPDATE t SET c = a WHERE c IS NULL")
    assert result.code == 1
    assert "a trigger of t (fired) also changes column pad (" in result.err
    assert "The rows done before stay." in result.err
    assert one(conn, "SELECT count(*) < 200 FROM t WHERE pad = 'fired'") is True
    assert one(conn, "SELECT count(*) > 0 FROM t WHERE c IS NOT NULL") is True


def test_small_table_s_transaction_is_read_committed_too(conn: Connection, fill: Callable) -> None:
    make_serializable(conn)
    conn.execute("DELETE FROM t WHERE id > 20")
    conn.execute("VACUUM t")
    result = fill("UPDATE t SET c = a WHERE c IS NULL", header="-- backfill: batched, triggers fire\n")
    assert result.code == 0, result.err
    assert "batches" not in result.out
    assert one(conn, "SELECT count(*) FROM t WHERE pad <> 'read committed'") == 0


def test_function_that_reads_nothing_of_the_table_may_be_called(conn: Connection, fill: Callable) -> None:
    conn.execute("CREATE TABLE u (v int); CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, c int)")
    conn.execute("INSERT INTO t SELECT i, i FROM generate_series(1, 9) i")
    conn.execute("CREATE FUNCTION f(x int) RETURNS int STABLE LANGUAGE plpgsql AS 'DECLARE t int := 1; BEGIN IF x > 3 THEN "
                 "t := t + coalesce((SELECT max(v) FROM u), x); END IF; FOR i IN 1..3 LOOP t := t + i; END LOOP; "
                 "RETURN t; END'")  # fmt: skip
    result = fill("UPDATE t SET c = coalesce(f(a), 0) WHERE c IS NULL")
    assert result.code == 0, result.err


@pytest.mark.parametrize("rows", [4000, 600])
def test_batch_that_reads_a_whole_index_for_each_row_is_refused_by_its_blocks(
    rows: int, conn: Connection, fill: Callable
) -> None:
    """600 rows would be done in one transaction, which may read the other table once, whatever it has for an index."""
    make(conn, "put back by a trigger")
    conn.execute("TRUNCATE t")
    conn.execute("INSERT INTO t SELECT i, i, repeat('x', 400) FROM generate_series(1, %s::int) i", [rows])
    conn.execute("DROP TRIGGER fired ON t")
    conn.execute("CREATE TABLE u AS SELECT i AS tenant, i AS k, i AS v FROM generate_series(1, 100000) i")
    conn.execute("CREATE INDEX ON u (tenant, k); ANALYZE t, u")
    update = "UPDATE t SET c = coalesce((SELECT max(v) FROM u WHERE u.k = t.a), 0) WHERE c IS NULL"
    result = fill(update)
    assert result.code == 1
    words = r"would hold its rows for long: .* costs [\d,]+ for 600 rows, as much as to read u [12],\d\d\d times"
    if rows == 4000:
        words = r"a trial batch read [\d,]+ blocks of u for \d+ rows; it needs an index"
    assert re.search(words, result.err), result.err
    if rows == 600:
        update = "UPDATE t SET c = u.v FROM u WHERE u.k = t.a AND t.c IS NULL"
    else:
        conn.execute("CREATE INDEX ON u (k)")
    result = fill(update)
    assert ("batches" in result.out) is (rows == 4000)
    assert result.code == 0, result.err


def test_second_match_of_a_row_that_would_add_up_is_not_used(conn: Connection, fill: Callable) -> None:
    make(conn, "two matches")
    conn.execute("ALTER TABLE t ADD n int NOT NULL DEFAULT 0")
    result = fill("UPDATE t SET c = u.v, n = n + 1 FROM u WHERE u.id = t.id AND t.c IS DISTINCT FROM u.v")
    assert result.code == 1, result.out
    assert "1 row of t still satisfies the WHERE after the UPDATE, and its SET reads what it sets" in result.err
    assert one(conn, "SELECT count(*) FROM t WHERE n > 1 OR id = 777 AND n > 0") == 0


# What a second UPDATE of a row that stays would read or do again; "" where it gives the same.
ADDS_UP = {
    "n = n + 1": "its SET reads what it sets",
    "n = (SELECT a FROM (SELECT t.a) x)": "",
    "n = m": "its SET reads m, which is generated from what it sets",
    "n = t.a_only": "",
    "n = (t).n + 1": "its SET reads the whole row (t)",
    "n = length(t::text)": "its SET reads the whole row (t)",
    "n = (to_jsonb(t.*) ->> 'n')::int": "its SET reads the whole row (t.*)",
    "n = t.twice": "its SET reads the whole row (t.twice)",
}
ADD_UP = {
    "NEW.n := OLD.n + 1": "the trigger fired (sets n) fires each time",
    'NEW."N" := OLD.n': "",
    "NEW.pad := now()": "",
    "NEW.c := NEW.c + 1": "",
    "INSERT INTO t VALUES (1)": "the trigger fired (writes to t) fires each time",
}


def test_what_a_second_update_would_add_is_seen_in_the_catalog(conn: Connection) -> None:
    conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, c int, n int, pad text,"
        "m int GENERATED ALWAYS AS (n + 1) STORED, a_only int GENERATED ALWAYS AS (a + 1) STORED);"
        "CREATE FUNCTION twice(t) RETURNS int LANGUAGE sql RETURN 2 * $1.n;" + FIRES.format(body="")
    )

    def reason(sets: str, triggers: str) -> str:
        script = parser.parse(f"UPDATE t SET c = a, {sets} WHERE c IS NULL".encode())
        return with_repeats(
            conn, find(conn, statements(script)[0], skip_triggers=False), triggers=triggers
        ).slice.adds_up

    assert {sets: reason(sets, "") for sets in ADDS_UP} == ADDS_UP
    seen = {}
    for body in ADD_UP:
        conn.execute(
            FIRES.split(";\nCREATE TRIGGER")[0].replace("CREATE", "CREATE OR REPLACE", 1).format(body=f"{body};")
        )
        seen[body] = reason("pad = 'x'", "fire")
    assert seen == ADD_UP
