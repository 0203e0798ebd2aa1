import pytest
from psycopg import Connection

from pgyoyo.workload.writes import missing

TABLE = """
CREATE DOMAIN filled AS text DEFAULT 'x' NOT NULL;
CREATE DOMAIN short AS text NOT NULL;
CREATE TABLE y (a short, b text);
CREATE TABLE w (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a text NOT NULL, b text, c int NOT NULL DEFAULT 1, d filled,
  e int GENERATED ALWAYS AS (1) STORED NOT NULL, z date NOT NULL);
CREATE VIEW v AS SELECT a, z FROM w;
"""


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("INSERT INTO w (a, z) VALUES ($1, $2)", ""),
        ("INSERT INTO w (a) VALUES ($1)", "z"),
        ("INSERT INTO public.w (b) SELECT $1", "a z"),
        ("INSERT INTO w DEFAULT VALUES", "a z"),
        ("INSERT INTO w VALUES (DEFAULT, $1)", "z"),
        ("INSERT INTO w SELECT 1, 'a'", ""),  # how many columns is not known
        ("INSERT INTO w (z) VALUES ($1) ON CONFLICT DO NOTHING", "a"),
        ("WITH x AS (SELECT 1) INSERT INTO w (z) SELECT now() FROM x", "a"),
        ("INSERT INTO y (b) VALUES ($1)", "a"),
        ("INSERT INTO w (a, z) VALUES ($1, DEFAULT), ($1, $2)", "z"),
        ("INSERT INTO w (a, z) VALUES (NULL, $1)", "a"),
        ("WITH x AS (INSERT INTO w (z) VALUES ($1) RETURNING id) SELECT id FROM x", "a"),
        ("WITH x AS (INSERT INTO y (b) VALUES ($1)) INSERT INTO w (z) VALUES ($1)", "a"),
        ("INSERT INTO v (a) VALUES ($1)", ""),  # a view has no NOT NULL of its own
        ("INSERT INTO nowhere (a) VALUES ($1)", ""),
        ("UPDATE w SET a = $1", ""),
        ("not SQL", ""),
    ],
)
def test_what_an_insert_leaves_out_fails_when_it_runs(conn: Connection, text: str, left: str) -> None:
    conn.execute(TABLE)
    [left_out] = missing(conn, [text])
    assert (" ".join(sorted(left_out.columns)), left_out.uncertain) == (left, False)


def test_before_trigger_makes_it_uncertain(conn: Connection) -> None:
    conn.execute(TABLE)
    conn.execute("CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.a := 1; RETURN NEW; END'")
    conn.execute("CREATE TRIGGER g BEFORE INSERT ON w FOR EACH ROW EXECUTE FUNCTION f()")
    [left_out] = missing(conn, ["INSERT INTO w (z) VALUES ($1)"])
    assert (left_out.columns, left_out.uncertain) == ({"a"}, True)
