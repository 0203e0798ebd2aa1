"""Sample rows come about as an application's rows do: what triggers, defaults and checks name is found on the search_path."""

from psycopg import Connection

from pgyoyo.catalog import rows, sequences
from pgyoyo.scratch import samples

CODE = """
CREATE SCHEMA app;
SET search_path = app;
CREATE TABLE log (n int);
CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (1); RETURN NEW; END $$;
CREATE FUNCTION logged() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM log); END $$;
CREATE FUNCTION small(x int) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RETURN logged() < 1000 AND x < 1000; END $$;
CREATE TABLE t (id int PRIMARY KEY, mood xml, seen bigint DEFAULT logged(), a int CHECK (small(a)));
CREATE TABLE u (t_id int NOT NULL REFERENCES t);
CREATE TRIGGER tr BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION noted();
CREATE TRIGGER tr AFTER INSERT ON u FOR EACH ROW EXECUTE FUNCTION noted();
"""


def test_triggers_defaults_and_checks_find_their_tables_and_functions(conn: Connection) -> None:
    conn.execute(CODE)
    filled = samples.fill(conn, {})
    assert filled.notes == []
    assert all(filled.held[f"app.{name}"].count for name in ("log", "t", "u"))
    assert samples.write_more(conn, filled.tables, ["app.t", "app.u"], edges=0) > 0
    conn.execute("INSERT INTO t SELECT n FROM generate_series(1000, 1500) AS n")
    assert samples.thin_out(conn, rows.rows(conn))


def test_reading_leaves_nothing_in_the_transaction_around_it(conn: Connection) -> None:
    conn.execute(CODE)
    with conn.transaction():
        rows.rows(conn)
        rows.types(conn)
        sequences.standings(conn)
        assert conn.execute("SHOW search_path").fetchone() == ("app",)
