"""A scale trial fills any table and leaves nothing; constants of a statement go to the columns that they stand beside."""

import psycopg
import pytest

from pgyoyo.review.constants import constants, with_small_limits
from pgyoyo.review.scale import Scale

ODD = """
CREATE TYPE pair AS (a int, b text);
CREATE TYPE colour AS ENUM ('r', 'g');
CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%.%');
CREATE SCHEMA "App S";
CREATE TABLE "App S"."T ""x" (
  "Id %" smallint PRIMARY KEY, "na me" char(3) UNIQUE, n numeric(5, 2), r real, m money, b bit(4), i inet, mac macaddr,
  p point, tsv tsvector, x xml, j json NOT NULL, u uuid UNIQUE, ba bytea, iv interval, t time, tz timetz, ts timestamp UNIQUE,
  dd date UNIQUE, arr int[], nr numrange, mr int4multirange, co pair, e colour NOT NULL, em email UNIQUE, o oid, rc regclass,
  lsn pg_lsn, ch "char", g int GENERATED ALWAYS AS (1) STORED, ea email[], EXCLUDE USING gist (nr WITH &&)
);
CREATE TABLE node (id int PRIMARY KEY, up int REFERENCES node);
CREATE TABLE detail (id int PRIMARY KEY REFERENCES node ON DELETE CASCADE, v text);
CREATE INDEX ON detail (v);
CREATE TABLE region (id bigint, r text, at date, PRIMARY KEY (id, r, at)) PARTITION BY LIST (r);
CREATE TABLE eu PARTITION OF region FOR VALUES IN ('eu') PARTITION BY RANGE (at);
CREATE TABLE eu_25 PARTITION OF eu FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE nothing ();
CREATE TABLE ruled (id int PRIMARY KEY, v int);
CREATE RULE r AS ON UPDATE TO ruled WHERE NEW.v < 0 DO ALSO NOTHING;
CREATE TABLE deferred (id int PRIMARY KEY, v int, UNIQUE (v) DEFERRABLE);
CREATE TABLE single (ok boolean PRIMARY KEY CHECK (ok), v int);
CREATE TABLE hashed (hash bytea NOT NULL UNIQUE CHECK (length(hash) = 32), part text NOT NULL, PRIMARY KEY (hash, part));
CREATE TABLE root (part text PRIMARY KEY, hash bytea, FOREIGN KEY (hash, part) REFERENCES hashed (hash, part));
CREATE TABLE tenant (t int, id int, PRIMARY KEY (t, id));
CREATE TABLE shop (t int, id int, v text, PRIMARY KEY (t, id), FOREIGN KEY (t, id) REFERENCES tenant);
CREATE TABLE sale (t int NOT NULL, id int, shop int NOT NULL, one int NOT NULL, v text, FOREIGN KEY (t, shop) REFERENCES shop,
  FOREIGN KEY (t, one) REFERENCES tenant);
CREATE TABLE full_one (id int PRIMARY KEY, v text);
CREATE INDEX ON full_one (v);
INSERT INTO full_one SELECT n, n FROM generate_series(1, 500) AS n;
"""


@pytest.fixture(name="changing")
def changing_of(conn: psycopg.Connection):
    """The tables in which a statement changes more rows the more there are; it was measured."""
    conn.execute(ODD)
    conn.execute("SET enable_seqscan = off")

    def changing(sql: str) -> set[str]:
        trial = Scale(conn).run(sql.encode())
        assert (trial.reason, trial.unseen) == (None, ())
        names = dict(conn.execute("SELECT oid::bigint, relname FROM pg_class").fetchall())
        return {names[table.oid] for table in trial.changing}

    return changing


def test_tables_of_any_kind_are_filled_and_left_as_they_were(changing, conn: psycopg.Connection) -> None:
    for sql, tables in (
        ('UPDATE "App S"."T ""x" SET n = 1 WHERE "Id %" > 0', {'T "x'}),
        ('UPDATE "App S"."T ""x" SET n = 1 WHERE "Id %" = 5', set()),
        ('UPDATE "App S"."T ""x" SET n = 1 WHERE em = \'a@b.c\'', set()),
        ('UPDATE "App S"."T ""x" SET n = 1 WHERE ts < \'2020-01-01\'', {'T "x'}),
        ("UPDATE node SET up = 1 WHERE id > 5", {"node"}),
        ("DELETE FROM node WHERE id = 5", set()),
        ('DELETE FROM "App S"."T ""x" WHERE em IS NULL', {'T "x'}),
        ("CREATE TABLE eu_26 PARTITION OF eu FOR VALUES FROM ('2020-01-01') TO ('2025-01-01')", set()),
        ("UPDATE detail SET v = 'x' WHERE v = 'a'", {"detail"}),
        ("UPDATE root SET hash = hash", {"root"}),
        ("UPDATE sale SET v = 'x' WHERE id > 1", {"sale"}),
        ("DELETE FROM eu WHERE at < '2025-06-01'", {"region"}),
        ("DELETE FROM nothing", {"nothing"}),
        ("UPDATE ruled SET v = 1 WHERE id > 0", {"ruled"}),
        ("UPDATE ruled SET v = 1 WHERE id = 3", set()),
        ("UPDATE deferred SET v = v + 1 WHERE id > 0", {"deferred"}),
        ("UPDATE single SET v = 1 WHERE ok", set()),
        ("UPDATE full_one SET v = 'x' WHERE id > 900", {"full_one"}),
        ("UPDATE full_one SET v = 'x' WHERE v = '7' AND id < 1000", {"full_one"}),
    ):
        assert changing(sql) == tables, sql
    counts = [
        conn.execute(f"SELECT count(*) FROM {name}".encode()).fetchone() for name in ("node", "full_one", "region")
    ]
    assert counts == [(0,), (500,), (0,)]
    assert conn.execute("SELECT count(*) FROM pg_class WHERE relname LIKE 'pgyoyo_default%'").fetchone() == (0,)


def test_a_role_without_rights_fills_tables_whose_keys_form_a_circle(owner, conn: psycopg.Connection) -> None:
    conn.execute(f"ALTER ROLE {owner.name} NOSUPERUSER; GRANT CREATE ON SCHEMA public TO {owner.name}")
    conn.execute(f"SET SESSION AUTHORIZATION {owner.name}")
    conn.execute("""
        CREATE TABLE build (id int PRIMARY KEY, job int NOT NULL, v text);
        CREATE TABLE job (id int PRIMARY KEY, latest int REFERENCES build, v text);
        ALTER TABLE build ADD FOREIGN KEY (job) REFERENCES job DEFERRABLE;
        CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
        CREATE TRIGGER no BEFORE INSERT ON job FOR EACH ROW EXECUTE FUNCTION no();
        ALTER TABLE job ENABLE ALWAYS TRIGGER no;
    """)
    try:
        trial = Scale(conn).run(b"UPDATE job SET v = b.v FROM build b WHERE b.job = job.id")
        assert (trial.reason, trial.unseen) == (None, ())
        assert [table.updated > 20 for table in trial.changing] == [True]
        assert Scale(conn).run(b"INSERT INTO job VALUES (1)").reason == "no"
    finally:
        conn.execute("DROP TABLE build, job CASCADE; DROP FUNCTION no; RESET SESSION AUTHORIZATION")
        conn.execute(f"REVOKE CREATE ON SCHEMA public FROM {owner.name}")


def test_what_can_not_be_tried_says_why(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE t (id int PRIMARY KEY, v text)")
    trial = Scale(conn).run(b"UPDATE t SET v = 1 / (id - id) WHERE id > 0")
    assert (trial.points, trial.reason) == ((), "division by zero")
    assert len(trial.writes) == 1
    trial = Scale(conn).run(b"UPDATE nowhere SET v = 1")
    assert trial.reason == 'relation "nowhere" does not exist'


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("WHERE id = 5 AND kind IN ('a', 'b')", {"id": ["5"], "kind": ["a", "b"]}),
        ("WHERE 'x' = ANY (tags)", {"tags": ["x"]}),
        ("WHERE data ->> 'k' = 'it''s'", {"data": ["k", "it's"]}),
        ("WHERE at < now() - interval '90 days' LIMIT 10", {}),
        ("DO $$ BEGIN UPDATE t SET kind = 'a' WHERE id >= -7; END $$", {"kind": ["a"], "id": ["-7"]}),
        ("SELECT f(3) -- 'no' \n/* 4 */", {"": ["3"]}),
        ('WHERE "Id %" = 1.5', {"Id %": ["1.5"]}),
    ],
)
def test_constants_go_to_their_columns(sql: str, expected: dict[str, list[str]]) -> None:
    assert constants([sql], {"id", "kind", "tags", "data", "at", "Id %"}) == expected


def test_big_limits_are_small_in_a_trial() -> None:
    text = b"SELECT 1 LIMIT 5000; SELECT 1 LIMIT 7; SELECT 1 FETCH FIRST 900 ROWS ONLY"
    assert with_small_limits(text) == b"SELECT 1 LIMIT 20; SELECT 1 LIMIT 7; SELECT 1 FETCH FIRST 20 ROWS ONLY"
