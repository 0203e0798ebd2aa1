import pytest
from psycopg import Connection

from pgyoyo.workload import guards
from pgyoyo.workload.guards import Guards
from pgyoyo.workload.refusals import refusals
from pgyoyo.workload.writes import writes

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
        ("INSERT INTO w SELECT 1, 'a'", "z"),
        ("INSERT INTO w SELECT * FROM w", ""),  # how many columns is not known
        ("INSERT INTO w (z) VALUES ($1) ON CONFLICT DO NOTHING", "a"),
        ("WITH x AS (SELECT 1) INSERT INTO w (z) SELECT now() FROM x", "a"),
        ("INSERT INTO y (b) VALUES ($1)", "a"),
        ("INSERT INTO w (a, z) VALUES ($1, DEFAULT), ($1, $2)", "z"),
        ("INSERT INTO w (a, z) VALUES (NULL, $1)", "a"),
        ("WITH x AS (INSERT INTO w (z) VALUES ($1) RETURNING id) SELECT id FROM x", "a"),
        ("WITH x AS (INSERT INTO y (b) VALUES ($1)) INSERT INTO w (z) VALUES ($1)", "a"),
        ("INSERT INTO v (a) VALUES ($1)", "z"),
        ("INSERT INTO nowhere (a) VALUES ($1)", ""),
        ("UPDATE w SET a = $1", ""),
        ("not SQL", ""),
    ],
)
def test_what_an_insert_leaves_out_fails_when_it_runs(conn: Connection, text: str, left: str) -> None:
    conn.execute(TABLE)
    [refused] = refusals(conn, Guards({}, {}), guards.read(conn), [[(write, True) for write in writes(text)]])
    names = {name for each in refused if each.certain for name in each.about}
    assert names & set("abz") == set(left.split())


@pytest.mark.parametrize(
    ("assignment", "certain"),
    [
        ("NEW.a := 1", None),
        ("NEW.z = now(); NEW.a := 1", None),
        ("IF NEW.b = '' THEN NEW.a := 1; END IF", True),
        ("IF NEW.b IS NULL AND TG_OP = 'INSERT' THEN NEW.a := 1; END IF", None),
        ("IF random() < 0.5 THEN NEW.a := 1; END IF", False),
        ("IF current_user = 'x' THEN RETURN NEW; END IF; NEW.a := 1", False),
        ("NEW := NULL::w", False),
        ("SELECT 1 INTO NEW.a", False),
        ("NEW.b := 1", True),
    ],
)
def test_trigger_before_the_row_may_give_the_value(conn: Connection, assignment: str, certain: bool | None) -> None:
    conn.execute(TABLE)
    body = f"BEGIN {assignment}; RETURN NEW; END"
    conn.execute(f"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $${body}$$".encode())
    conn.execute("CREATE TRIGGER g BEFORE INSERT ON w FOR EACH ROW EXECUTE FUNCTION f()")
    [refused] = refusals(
        conn, Guards({}, {}), guards.read(conn), [[(write, True) for write in writes("INSERT INTO w (z) VALUES ($1)")]]
    )
    left_out = [each.certain for each in refused if "no value for a" in each.words]
    assert left_out == ([] if certain is None else [certain])


@pytest.mark.parametrize("assignment", ['NEW."The A" := 1', 'new . "The A" = NEW."The Z"::text'])
def test_trigger_gives_the_value_of_a_column_whose_name_is_quoted(conn: Connection, assignment: str) -> None:
    body = f"BEGIN {assignment}; RETURN NEW; END"
    conn.execute('CREATE TABLE q ("The A" text NOT NULL, "The Z" text NOT NULL)')
    conn.execute(f"CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $${body}$$".encode())
    conn.execute("CREATE TRIGGER g BEFORE INSERT ON q FOR EACH ROW EXECUTE FUNCTION f()")
    write = [(write, True) for write in writes("""INSERT INTO q ("The Z") VALUES ('z')""")]
    assert refusals(conn, Guards({}, {}), guards.read(conn), [write]) == [()]


def test_limits_of_a_column_are_its_own(conn: Connection) -> None:
    conn.execute(
        "CREATE DOMAIN short AS varchar(7); CREATE DOMAIN shorter AS short;"
        "CREATE TABLE l (a varchar(10), b varchar(50), c varchar, d short, e shorter, f numeric(4, 1), g numeric, h int)"
    )
    [table] = [each for each in guards.read(conn).tables.values() if each.name == "l"]
    assert [column.limits for column in table.columns.values()] == [
        "character varying(10)", "character varying(50)", "character varying", "character varying(7)", "character varying(7)",
        "numeric(4,1)", "numeric", "integer",
    ]  # fmt: skip
