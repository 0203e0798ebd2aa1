"""What was once proved though it is wrong, or failed though it is right: each a row of a table."""

# ruff: noqa: E501 - a case is easier to read in few lines

from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import psycopg
import pytest

import staging
from pgyoyo.console import Console
from pgyoyo.migrations import reader
from pgyoyo.prove.proof import Proof
from pgyoyo.prove.prover import prove

LOSSY, FAILS, DIFFERS, BEHIND = "lossy-without-reason", "rollback-fails", "rollback-differs", "sequence-behind"


class Case(NamedTuple):
    """A table `t` as it is first, in a schema of its own, a migration and its rollback, and the findings there must be."""

    name: str
    first: str
    up: str
    down: str
    classes: tuple[str, ...] = ()
    word: str = ""


def column(name: str, old: str, new: str, *classes: str, up: str = "", down: str = "") -> Case:
    """A column that gets another type and its old one again."""
    return Case(
        name, f"CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v {old});",
        f"ALTER TABLE t ALTER v TYPE {new} {up};", f"ALTER TABLE t ALTER v TYPE {old} {down};", classes,
    )  # fmt: skip


def own(text: str) -> str:
    """A statement about the database itself, whose name the file does not know: %I in the text."""
    return f"DO $$ BEGIN EXECUTE format('{text}', current_database()); END $$;"


SERIAL = "CREATE TABLE t (id serial PRIMARY KEY, v text);"
PLAIN = "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text, w int NOT NULL);"
CASES = [
    # Sequences.
    Case("sequence_anew", SERIAL, "ALTER TABLE t ALTER id DROP DEFAULT; DROP SEQUENCE t_id_seq;",
         "CREATE SEQUENCE t_id_seq AS int OWNED BY t.id; ALTER TABLE t ALTER id SET DEFAULT nextval('t_id_seq');", (DIFFERS,), "duplicate"),
    Case("sequence_anew_and_set", SERIAL, "ALTER TABLE t ALTER id DROP DEFAULT; DROP SEQUENCE t_id_seq;",
         "CREATE SEQUENCE t_id_seq AS int OWNED BY t.id; ALTER TABLE t ALTER id SET DEFAULT nextval('t_id_seq');"
         "SELECT setval('t_id_seq', (SELECT max(id) FROM t));"),
    Case("sequence_set_to_the_last", SERIAL, "SELECT 1;", "SELECT setval('t_id_seq', (SELECT max(id) FROM t), false);", (DIFFERS,)),
    Case("serial_to_identity", SERIAL,
         "ALTER TABLE t ALTER id DROP DEFAULT; DROP SEQUENCE t_id_seq; ALTER TABLE t ALTER id ADD GENERATED ALWAYS AS IDENTITY;",
         "ALTER TABLE t ALTER id DROP IDENTITY; CREATE SEQUENCE t_id_seq AS int OWNED BY t.id;"
         "ALTER TABLE t ALTER id SET DEFAULT nextval('t_id_seq'); SELECT setval('t_id_seq', (SELECT max(id) FROM t));", (BEHIND,)),
    Case("setval", SERIAL, "SELECT setval('t_id_seq', 1);", "SELECT 1;", (BEHIND, DIFFERS)),
    Case("downwards", "CREATE SEQUENCE s INCREMENT -1; CREATE TABLE t (id bigint PRIMARY KEY DEFAULT nextval('s'), v text);",
         "SELECT 1;", "SELECT setval('s', -1);", (DIFFERS,)),
    Case("feeds_no_table", "CREATE SEQUENCE s START 5; SELECT nextval('s');", "SELECT 1;", "ALTER SEQUENCE s RESTART;", (LOSSY,), "sequence"),
    Case("cycles", "CREATE SEQUENCE s CYCLE START 5; SELECT nextval('s');", "SELECT 1;", "ALTER SEQUENCE s RESTART;"),
    Case("no_longer_owned", SERIAL, "ALTER SEQUENCE t_id_seq OWNED BY NONE;", "SELECT 1;", (DIFFERS,)),
    Case("values_are_used_up", SERIAL, "INSERT INTO t (v) VALUES ('more');", "DELETE FROM t WHERE v = 'more';"),
    # Conversions that can't be taken back, and some that can.
    column("numeric_to_int", "numeric", "int", LOSSY, up="USING v::int"),
    column("numeric_scale", "numeric(8,3)", "numeric(8,1)", LOSSY, FAILS),
    column("float_to_real", "float8", "real", LOSSY),
    column("float_to_int", "float8", "int", LOSSY),
    column("int_to_real", "int", "real", LOSSY, FAILS),
    column("bigint_to_float", "bigint", "float8", LOSSY, FAILS),
    column("timestamp_0", "timestamp", "timestamp(0)", LOSSY),
    column("timestamp_to_date", "timestamptz", "date", LOSSY),
    column("interval_0", "interval", "interval(0)", LOSSY),
    column("left_5", "text", "varchar(5)", LOSSY, up="USING left(v, 5)"),
    column("lower", "text", "text", LOSSY, up="USING lower(v)"),
    column("trim", "varchar(20)", "varchar(20)", LOSSY, up="USING trim(v)"),
    column("char", "varchar(6)", "char(6)", LOSSY),
    column("json", "json", "jsonb", LOSSY),
    column("null_to_empty", "text", "text", LOSSY, up="USING coalesce(v, '')"),
    column("timestamp_to_text", "timestamp", "text", FAILS, down="USING v::timestamp"),
    column("int_to_numeric", "int", "numeric(20)", FAILS),
    # A value that only one of the labels, or of what a check lists, shows.
    Case("label_goes", "CREATE TYPE mood AS ENUM ('a', 'b', 'c', 'd', 'e', 'f'); CREATE TABLE t (m mood);",
         "UPDATE t SET m = 'a' WHERE m = 'f';", "SELECT 1;", (LOSSY,)),
    Case("listed_value_goes", "CREATE TABLE t (m text CHECK (m IN ('a', 'b', 'c', 'd', 'e', 'f', 'g')));",
         "UPDATE t SET m = 'a' WHERE m = 'f';", "SELECT 1;", (LOSSY,)),
    # Rows that came after the migration.
    Case("null", PLAIN, "ALTER TABLE t ALTER w DROP NOT NULL;", "ALTER TABLE t ALTER w SET NOT NULL;", (FAILS,), "written after"),
    Case("null_is_replaced", PLAIN, "ALTER TABLE t ALTER w DROP NOT NULL;",
         "UPDATE t SET w = 0 WHERE w IS NULL; ALTER TABLE t ALTER w SET NOT NULL;", (LOSSY,), "written after"),
    Case("null_has_a_reason", PLAIN, "ALTER TABLE t ALTER w DROP NOT NULL;",
         "-- lossy: what is not known becomes 0\nUPDATE t SET w = 0 WHERE w IS NULL; ALTER TABLE t ALTER w SET NOT NULL;"),
    column("longer", "varchar(10)", "varchar(100)", FAILS),
    column("longer_is_cut", "varchar(10)", "varchar(100)", LOSSY, down="USING left(v, 10)"),
    column("wider", "int", "bigint", FAILS),
    Case("duplicate", "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY, v text UNIQUE);", "ALTER TABLE t DROP CONSTRAINT t_v_key;",
         "ALTER TABLE t ADD UNIQUE (v);", (FAILS,)),
    Case("new_label", "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE t (m mood);",
         "ALTER TYPE mood RENAME TO old; CREATE TYPE mood AS ENUM ('a', 'b', 'c'); ALTER TABLE t ALTER m TYPE mood USING m::text::mood; DROP TYPE old;",
         "ALTER TYPE mood RENAME TO old; CREATE TYPE mood AS ENUM ('a', 'b'); ALTER TABLE t ALTER m TYPE mood USING m::text::mood; DROP TYPE old;", (FAILS,)),
    Case("check_goes", "CREATE TABLE t (v int CHECK (v > 0));", "ALTER TABLE t DROP CONSTRAINT t_v_check;",
         "ALTER TABLE t ADD CHECK (v > 0);", (FAILS,)),
    Case("new_rows_go", PLAIN, "ALTER TABLE t ALTER w DROP NOT NULL;",
         "DELETE FROM t WHERE w IS NULL; ALTER TABLE t ALTER w SET NOT NULL;", (LOSSY,)),
    Case("new_column", PLAIN, "ALTER TABLE t ADD x int NOT NULL DEFAULT 1;", "ALTER TABLE t DROP x;"),
    Case("new_rule", PLAIN, "ALTER TABLE t ADD CHECK (w < 100000000);", "ALTER TABLE t DROP CONSTRAINT t_w_check;"),
    # What rows make by triggers is theirs.
    Case("table_a_row",
         """CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
         CREATE FUNCTION part() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN EXECUTE format('CREATE TABLE IF NOT EXISTS %I.%I (id int)', TG_TABLE_SCHEMA, 'part_' || NEW.id); RETURN NEW; END $$;
         CREATE TRIGGER part AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION part();""",
         "ALTER TABLE t ALTER v SET NOT NULL, ALTER v SET DEFAULT '';", "ALTER TABLE t ALTER v DROP NOT NULL, ALTER v DROP DEFAULT;"),
    Case("table_a_row_later",
         """CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v varchar(9) NOT NULL);
         CREATE FUNCTION part() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN EXECUTE format('CREATE TABLE IF NOT EXISTS %I.%I (id int)', TG_TABLE_SCHEMA, 'part_' || NEW.id); RETURN NEW; END $$;
         CREATE TRIGGER part AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION part();""",
         "ALTER TABLE t RENAME v TO name;", "ALTER TABLE t RENAME name TO v;"),
    # Two columns of a row differ.
    Case("swapped", "CREATE TABLE t (id int PRIMARY KEY, a text, b varchar(30));", "UPDATE t SET a = b, b = a;", "SELECT 1;", (LOSSY,)),
    Case("swapped_keys", "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE t (a int NOT NULL REFERENCES p, b int NOT NULL REFERENCES p);",
         "UPDATE t SET a = b, b = a;", "SELECT 1;", (LOSSY,)),
    Case("swapped_and_back", "CREATE TABLE t (a date NOT NULL, b date NOT NULL, CHECK (a = b), c boolean, d boolean);",
         "UPDATE t SET c = d, d = c;", "UPDATE t SET c = d, d = c;"),
    Case("key_that_no_row_was_made_for", PLAIN + "CREATE TABLE u (a int NOT NULL, b int NOT NULL, c int NOT NULL);",
         "ALTER TABLE u ADD FOREIGN KEY (c) REFERENCES t;", "ALTER TABLE u DROP CONSTRAINT u_c_fkey;", (), "refuses values at the edges"),
    Case("only_row", "CREATE TABLE t (id int PRIMARY KEY CHECK (id = 1), v text); INSERT INTO t VALUES (1);",
         "ALTER TABLE t DROP v;", "ALTER TABLE t ADD v text;", (LOSSY,)),
    # Owners.
    Case("owner", PLAIN, "ALTER TABLE t OWNER TO pg_monitor;", "SELECT 1;", (DIFFERS,), "owner table"),
    Case("owner_and_back", PLAIN, "ALTER TABLE t OWNER TO pg_monitor;", "ALTER TABLE t OWNER TO CURRENT_USER;"),
    # Names of NOT NULL, which outlive a renaming.
    Case("not_null_after_rename", "CREATE TABLE old (id int, mail text NOT NULL); ALTER TABLE old RENAME TO t; ALTER TABLE t RENAME mail TO email;",
         "UPDATE t SET email = email; ALTER TABLE t ALTER email DROP NOT NULL;",
         "-- lossy: unknown addresses\nDELETE FROM t WHERE email IS NULL; ALTER TABLE t ALTER email SET NOT NULL;"),
    Case("swap", "CREATE TABLE t (id int NOT NULL, v text NOT NULL);",
         "CREATE TABLE n (id int NOT NULL, v text NOT NULL); INSERT INTO n SELECT * FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t;",
         "CREATE TABLE n (id int NOT NULL, v text NOT NULL); INSERT INTO n SELECT * FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t;"),
    # What is no part of the schema: large objects, the database's own.
    Case("large_object_goes", PLAIN + "SELECT lo_from_bytea(4711, 'abc');", "SELECT lo_unlink(4711);", "SELECT lo_create(4711);", (LOSSY,), "large object 4711"),
    Case("large_object_stays", PLAIN, "SELECT lo_create(4712);", "SELECT 1;", (DIFFERS, "reapply-fails"), "large object 4712: added"),
    Case("large_object_and_back", PLAIN, "SELECT lo_from_bytea(4713, 'abc');", "SELECT lo_unlink(4713);"),
    Case("large_object_with_its_reason", PLAIN + "SELECT lo_from_bytea(4714, 'abc');", "SELECT lo_unlink(4714);",
         "-- lossy: nobody reads them\nSELECT lo_from_bytea(4714, 'abd');"),
    Case("large_object_of_another", PLAIN + "SELECT lo_create(4715);", "ALTER LARGE OBJECT 4715 OWNER TO pg_monitor; COMMENT ON LARGE OBJECT 4715 IS 'x';",
         "ALTER LARGE OBJECT 4715 OWNER TO CURRENT_USER;", (LOSSY,), "COMMENT x"),
    Case("database_setting", PLAIN, own("ALTER DATABASE %I SET work_mem = ''7MB''"), own("ALTER DATABASE %I SET work_mem = ''4MB''"), (DIFFERS,), "database setting work_mem: added"),
    Case("database_setting_and_back", PLAIN, own("ALTER DATABASE %I SET statement_timeout = 9000"), own("ALTER DATABASE %I RESET statement_timeout")),
    Case("database_limit", PLAIN, own("ALTER DATABASE %I CONNECTION LIMIT 50"), "SELECT 1;", (DIFFERS,), "database connection limit: -1 → 50"),
    Case("database_comment", PLAIN, own("COMMENT ON DATABASE %I IS ''new''"), own("COMMENT ON DATABASE %I IS NULL")),
    Case("database_grant", PLAIN, own("GRANT CREATE ON DATABASE %I TO pg_monitor"), own("REVOKE CONNECT ON DATABASE %I FROM pg_monitor"), (DIFFERS,), "pg_monitor"),
    Case("database_owner", PLAIN, own("ALTER DATABASE %I OWNER TO pg_monitor"), "SELECT 1;", (DIFFERS,), "database owner: postgres → pg_monitor"),
    Case("database_limit_of_an_earlier_migration", PLAIN, own("ALTER DATABASE %I CONNECTION LIMIT 60"), own("ALTER DATABASE %I CONNECTION LIMIT 50")),
    Case("sequence_set_forward", SERIAL, "SELECT setval('t_id_seq', 90000);", "SELECT 1;", (), "gives 90001 next after the rollback, and"),
    Case("sequence_of_no_column", "CREATE SEQUENCE s;", "SELECT nextval('s');", "SELECT 1;", (), "(not compared)"),
    Case("sequence_forward_and_back", "CREATE SEQUENCE s;", "ALTER SEQUENCE s RESTART 500;", "ALTER SEQUENCE s RESTART;"),
]  # fmt: skip


# As many cases as share a history: every fresh copy of it gets sample rows in the tables of all.
TOGETHER = 5


@pytest.fixture(scope="module")
def proved(admin: psycopg.Connection, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], Proof]:
    """The proof of a case; those of its neighbours are made with it."""

    @cache
    def together(part: int) -> dict[str, Proof]:
        cases = CASES[part * TOGETHER : (part + 1) * TOGETHER]
        path = 'SET search_path = "{}";\n'
        first = "".join(f'CREATE SCHEMA "{case.name}"; {path.format(case.name)}{case.first}\n' for case in cases)
        files: staging.Files = {"0001_first": (first, "-- irreversible: all of it\n")}
        for number, case in enumerate(cases, start=2):
            header, newline, rest = case.down.rpartition("\n")
            down = f"{header}{newline}{path.format(case.name)}{rest}"
            files[f"{number:04}_{case.name}"] = (path.format(case.name) + case.up, down)
        folder = tmp_path_factory.mktemp("sql")
        staging.write(folder, files)
        proofs = prove(admin, reader.read([str(folder)]), Console(quiet=True), ids=list(files)[1:])
        return {proof.id[5:]: proof for proof in proofs}

    return lambda case: together(CASES.index(case) // TOGETHER)[case.name]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_verdict_is_right(case: Case, proved: Callable[[Case], Proof]) -> None:
    proof = proved(case)
    shown = "\n".join([line for lines in proof.findings.values() for line in lines] + proof.notes)
    assert set(proof.findings) == set(case.classes), shown
    assert case.word in shown


# Ordinary values of each type and odd ones, chosen apart from those of the sample rows.
VALUES = {
    "boolean": ("true", "false"),
    "smallint": ("7", "-300"), "integer": ("7", "123456", "33554433"), "bigint": ("7", "9007199254740995"),
    "numeric": ("7", "0.1", "-98765.4321"), "real": ("7", "0.25"), "double precision": ("7", "0.1", "3.141592653589793"),
    "date": ("2026-05-17", "1999-12-31"), "timestamp": ("2026-05-17 11:12:13.141516", "1999-12-31 00:00:00"),
    "timestamptz": ("2026-05-17 11:12:13.141516+02",), "time": ("11:12:13.141516",), "interval": ("3 days 11:12:13.5", "1 mon"),
    "text": ("a", " B ", "c" * 200), "varchar": ("a", " B ", "c" * 200), "name": ("a", "B"),
    "inet": ("10.0.0.1", "10.9.8.7/16"), "cidr": ("10.0.0.0/8",), "json": ('{"a": 1}', '{"b":2, "a":1}'), "jsonb": ('{"a": 1}',),
    "macaddr": ("08:00:2b:01:02:03",), "macaddr8": ("08:00:2b:ff:fe:01:02:03",), "point": ("(1,2)",),
    "lseg": ("[(1,2),(3,5)]",), "box": ("(3,4),(1,2)",), "circle": ("<(1,2),3>",), "polygon": ("((0,0),(4,0),(4,4))",),
}  # fmt: skip


def changes(conn: psycopg.Connection, old: str, new: str) -> bool:
    """Whether a value of the one type that the other one takes comes back as another one."""
    for value in VALUES[old]:
        query = f"SELECT ('{value}'::{old})::{new}::{old}::text <> ('{value}'::{old})::text"
        with suppress(psycopg.DataError, psycopg.ProgrammingError):
            if conn.execute(query.encode()).fetchone() == (True,):
                return True
    return False


def test_conversions_of_built_in_types_lose_what_they_lose(
    conn: psycopg.Connection, admin: psycopg.Connection, tmp_path: Path
) -> None:
    lossy = {old: [new for new in VALUES if new != old and changes(conn, old, new)] for old in VALUES}
    assert sum(map(len, lossy.values())) > 20
    tables = {f"{old}_{new}".replace(" ", "_"): (old, new) for old, news in lossy.items() for new in news}
    first = "".join(f"CREATE TABLE {table} (id int PRIMARY KEY, v {old});" for table, (old, _) in tables.items())
    files: staging.Files = {"0001_a": (first, None)}
    # A number at the edge of its type, which a narrower one refuses, keeps the others of its migration from their edges.
    for name, narrower in (("0002_b", True), ("0003_c", False)):
        chosen = {
            t: pair for t, pair in tables.items() if (pair[1] in ("smallint", "integer", "bigint", "real")) == narrower
        }
        files[name] = tuple(
            "".join(f"ALTER TABLE {table} ALTER v TYPE {pair[i]} USING v::{pair[i]};" for table, pair in chosen.items())
            for i in (1, 0)
        )
    staging.write(tmp_path / "sql", files)
    proofs = list(prove(admin, reader.read([str(tmp_path / "sql")]), Console(quiet=True), ids=["0002_b", "0003_c"]))
    shown = "\n".join(line for proof in proofs for lines in proof.findings.values() for line in lines)
    assert [table for table in tables if f"rows: public.{table}.v: " not in shown] == [], shown
