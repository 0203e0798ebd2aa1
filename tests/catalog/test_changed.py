"""Reading what changed gives what reading everything does; each change of changes.sql is tried in test_snapshot.py."""

import contextlib
import random
import re
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict

from pgyoyo.catalog import query, rows, sequences
from pgyoyo.catalog.changed import SnapshotReader
from pgyoyo.catalog.snapshot import snapshot
from pgyoyo.scratch import databases
from pgyoyo.server.postgres import EmbeddedServer

# What one object is called, or has, stands in the definitions of others.
REACHING = """
CREATE TABLE app.a (id integer PRIMARY KEY, kind app.status DEFAULT 'new', n integer UNIQUE DEFAULT app.f());
CREATE TABLE app.b (a_id integer CONSTRAINT b_a REFERENCES app.a, n integer CONSTRAINT b_n REFERENCES app.a (n));
CREATE TABLE app.c OF app.pair;
CREATE VIEW app.va AS SELECT id, n FROM app.a;
CREATE VIEW app.vva AS SELECT id FROM app.va;
CREATE RULE r AS ON INSERT TO app.b DO ALSO DELETE FROM app.a;
CREATE POLICY p ON app.b USING (EXISTS (SELECT FROM app.a WHERE n > 1));
CREATE TABLE app.s (id serial, n integer GENERATED ALWAYS AS IDENTITY);
CREATE TABLE app.of_b (b app.b, many app.b[], CHECK ((b).n > 0));
CREATE INDEX s_f ON app.s ((app.f(n)));
CREATE TABLE app.parts (n integer) PARTITION BY RANGE (n);
CREATE TABLE app.parts_1 PARTITION OF app.parts FOR VALUES FROM (0) TO (1);
CREATE INDEX parts_n ON app.parts (n);
CREATE FUNCTION app.body() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT sum(n) FROM app.a; END;
CREATE FUNCTION app.of_rows(app.a, app.va[]) RETURNS SETOF app.b LANGUAGE sql AS 'SELECT NULL::app.b';
CREATE FUNCTION app.fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER t BEFORE INSERT ON app.a FOR EACH ROW EXECUTE FUNCTION app.fires();
CREATE PUBLICATION few FOR TABLE app.a, app.b;
CREATE DOMAIN app.many AS app.b[] CONSTRAINT few CHECK (cardinality(VALUE) < 5);
ALTER TABLE app.a RENAME TO a2;
ALTER TABLE app.a2 RENAME COLUMN n TO m;
ALTER TYPE app.status RENAME VALUE 'new' TO 'fresh';
ALTER TYPE app.status RENAME TO state;
ALTER TYPE app.pair RENAME TO pair2;
CREATE TYPE app.triple AS (a integer);
ALTER TYPE app.triple RENAME ATTRIBUTE a TO b;
ALTER TYPE app.triple ADD ATTRIBUTE c app.b;
ALTER DOMAIN app.many RENAME CONSTRAINT few TO fewer;
ALTER FUNCTION app.fires() RENAME TO rings;
ALTER PUBLICATION few DROP TABLE app.b;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text) TO PUBLIC;
REVOKE EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text) FROM PUBLIC;
GRANT SELECT (rolpassword) ON pg_catalog.pg_authid TO PUBLIC;
GRANT SELECT ON pg_catalog.pg_statistic TO PUBLIC;
REVOKE USAGE ON TYPE pg_catalog.int4 FROM PUBLIC;
REVOKE SELECT (rolpassword) ON pg_catalog.pg_authid FROM PUBLIC;
COMMENT ON SCHEMA public IS 'ours';
COMMENT ON EXTENSION plpgsql IS NULL;
ALTER EXTENSION plpgsql ADD TABLE app.c;
GRANT SELECT ON app.c TO PUBLIC;
ALTER EXTENSION plpgsql DROP TABLE app.c;
ALTER TABLE app.a2 SET (toast.autovacuum_enabled = off);
ALTER FUNCTION app.f() RENAME TO g;
ALTER FUNCTION app.f(integer) RENAME TO g;
ALTER VIEW app.va RENAME TO va2;
ALTER TABLE app.b RENAME TO b2;
ALTER SEQUENCE app.s_id_seq RENAME TO s_ids;
ALTER SEQUENCE app.s_n_seq INCREMENT 5;
ALTER INDEX app.parts_n RENAME TO parts_m;
ALTER INDEX app.parts_1_n_idx RENAME TO parts_1_m;
ALTER TABLE app.a2 DISABLE TRIGGER ALL;
ALTER TABLE app.parts DETACH PARTITION app.parts_1;
ALTER SCHEMA app RENAME TO app2;
COMMENT ON CONSTRAINT b_a ON app2.b2 IS 'a';
COMMENT ON CONSTRAINT b_a ON app2.b2 IS NULL;
ALTER INDEX app2.parts_1_m DEPENDS ON EXTENSION plpgsql;
ALTER INDEX app2.parts_1_m NO DEPENDS ON EXTENSION plpgsql;
ALTER SEQUENCE app2.s_ids OWNED BY NONE;
GRANT SELECT (id) ON app2.a2 TO PUBLIC;
GRANT SELECT ON app2.va2 TO pg_monitor WITH GRANT OPTION;
REVOKE SELECT ON app2.va2 FROM pg_monitor;
DROP INDEX app2.s_f;
DROP POLICY p ON app2.b2;
DROP RULE r ON app2.b2;
ALTER TABLE app2.b2 DROP CONSTRAINT b_n;
ALTER TABLE app2.a2 DROP COLUMN m CASCADE;
ALTER TABLE app2.a2 SET (fillfactor = 50, toast.autovacuum_enabled = off);
ALTER TABLE app2.parts_1 SET SCHEMA public;
DROP TABLE app2.a2 CASCADE;
DROP TYPE app2.pair2 CASCADE;
VACUUM FULL pg_class;
DROP SCHEMA app2 CASCADE
"""
SETUP = """
CREATE SCHEMA app;
CREATE TYPE app.status AS ENUM ('new', 'done');
CREATE TYPE app.pair AS (a integer, b text);
CREATE FUNCTION app.f() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';
CREATE FUNCTION app.f(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT n'
"""


def test_what_others_name_is_read_with_them(conn: psycopg.Connection) -> None:
    conn.execute(SETUP)
    conn.prepare_threshold = 0
    reader = SnapshotReader()
    reader.read(conn)
    for statement in REACHING.split(";\n"):
        conn.execute(statement)
        assert list(reader.read(conn).items()) == list(snapshot(conn, owners=True).items()), statement


def test_copies_that_go_different_ways_are_read_in_turn(admin: psycopg.Connection) -> None:
    """A reader that goes from one to the other gives what each holds, whatever was written where."""
    chance = random.Random(7)
    statements = [text for text in REACHING.split(";\n") if not re.search("EXTENSION|app2|pg_class|pg_catalog", text)]
    with contextlib.ExitStack() as stack:
        names = [stack.enter_context(databases.database(admin))]
        with psycopg.connect(names[0], autocommit=True) as conn:
            conn.execute(f"{SETUP};{';'.join(statements[:10])}")
        names.append(stack.enter_context(databases.database(admin, template=conninfo_to_dict(names[0])["dbname"])))
        conns = [stack.enter_context(psycopg.connect(name, autocommit=True, prepare_threshold=0)) for name in names]
        reader, done = SnapshotReader(), 0
        for _ in range(50):
            conn = chance.choice(conns)
            for statement in chance.choices(statements, k=chance.choice((1, 3))):
                with contextlib.suppress(psycopg.Error):  # what it needs is not there, or there already
                    conn.execute(statement, prepare=False)
                    done += 1
            assert list(reader.read(conn).items()) == list(snapshot(conn, owners=True).items())
        assert done > 30


def test_another_name_of_a_role_is_read_everywhere_and_only_then(own_server: EmbeddedServer) -> None:
    """On a server of its own: what the readers of the other tests read would be all, too."""
    with psycopg.connect(own_server.conninfo("postgres"), autocommit=True) as conn:
        try:
            conn.execute("CREATE ROLE before; CREATE ROLE gone; CREATE TABLE named (); GRANT SELECT ON named TO before")
            reader = SnapshotReader()
            reader.read(conn)
            conn.execute("DROP ROLE gone; CREATE ROLE come")
            reader.read(conn)
            assert reader.relations == 0
            conn.execute("ALTER ROLE before RENAME TO after")
            assert reader.read(conn)["privilege", "table public.named to after"] == "SELECT"
        finally:
            conn.execute("DROP TABLE named; DROP ROLE IF EXISTS before, after, gone, come")


def test_a_session_keeps_the_plans_of_its_queries_while_rows_and_sequences_are_read_too(
    conn: psycopg.Connection,
) -> None:
    conn.execute("CREATE TABLE t (id serial)")
    conn.prepare_threshold = 0
    reader, kept = SnapshotReader(), []
    for _ in range(2):
        reader.read(conn)
        assert rows.rows(conn).keys() == {"public.t"}
        assert [standing.name for standing in sequences.standings(conn)] == ["public.t_id_seq"]
        kept.append({name for (name,) in conn.execute("SELECT name FROM pg_prepared_statements", prepare=False)})
    assert set() < kept[0] <= kept[1]
    assert conn.execute("SHOW search_path").fetchone() != ("",)


def test_only_what_a_change_reaches_is_read(own_server: EmbeddedServer) -> None:
    """On a server of its own, as above."""
    own_server.ensure_database("reached")
    with psycopg.connect(own_server.conninfo("reached"), autocommit=True) as conn:
        _only_what_a_change_reaches_is_read(conn)


def _only_what_a_change_reaches_is_read(conn: psycopg.Connection) -> None:
    for n in range(20):
        conn.execute(f"CREATE TABLE t{n} (id integer PRIMARY KEY)".encode())
    conn.execute("CREATE TABLE child (t0 integer REFERENCES t0); CREATE VIEW v AS SELECT * FROM t0")
    reader = SnapshotReader()
    reader.read(conn)
    read = []
    for statement in (
        "SELECT", "COMMENT ON TABLE t1 IS 'x'", "ALTER TABLE t0 ADD n integer", "DROP TABLE t1",
        "CREATE FUNCTION f() RETURNS integer LANGUAGE sql AS 'SELECT 1'", "GRANT SELECT ON t2 TO PUBLIC",
        "CREATE TABLE more (id serial, text text)", "CREATE TYPE mood AS ENUM ('fine')",
    ):  # fmt: skip
        conn.execute(statement.encode())
        reader.read(conn)
        read.append((reader.relations, reader.others))
    assert read[2] == (3, False), "the table, the one with a foreign key to it, and its view"
    assert read[:2] + read[4:] == [(0, False), (1, False), (0, True), (1, False), (2, False), (0, True)]
    assert read[3] in ((0, False), (1, False))


def test_what_is_replaced_where_some_relations_are_read_stands_once_in_the_query() -> None:
    text = Path(query.__file__).with_name("catalog.sql").read_text()
    replaced = query._SOME | query._ONLY
    assert [text.count(whole) for whole in replaced] == [1] * len(replaced)
    assert query.of_relations().count(b"SELECT NULL") == 0
