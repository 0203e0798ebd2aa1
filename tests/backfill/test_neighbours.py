"""Values and tables that easily make batches and one statement differ: both leave the same rows."""

import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection

from filling import BATCHED, folder, one
from pgyoyo.cli.main import main  # noqa: F401 - the entry point that run_here calls

TABLE = (
    "CREATE TABLE t{n} (id int PRIMARY KEY, {columns}, pad text);"
    "INSERT INTO t{n} SELECT i, {values}, repeat('x', 1000) FROM generate_series(1, {rows}) i"
)
EVEN = "UPDATE t{n} SET c = a WHERE c IS DISTINCT FROM a"
FILL = "UPDATE t{n} SET c = a WHERE c IS NULL"
FIRES = ("CREATE FUNCTION f{n}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN %s RETURN NEW; END';"
         "CREATE TRIGGER fires BEFORE %s FOR EACH ROW EXECUTE FUNCTION f{n}()")  # fmt: skip
TYPE = "CREATE TYPE p{n} AS (x int, y text);"
# Columns besides the key, their values, the statement, what comes before and after the table. Row 50 is special, where no
# sample is taken.
CASES = {
    "NaN and infinity": ("a float8, c float4", "('{{NaN,inf,-inf,-0}}'::float8[])[1 + i % 4], 0", EVEN, "", ""),
    "negative zero is zero": ("a float8, c float8", "'-0', 0", EVEN, "", ""),
    "trailing zeros": ("a numeric, c numeric", "1.0, 1.00", EVEN, "", ""),
    "scale of one row": ("a numeric, c numeric(9,1)", "CASE i WHEN 50 THEN 0.25 ELSE i END, NULL", EVEN, "", ""),
    "timestamp(0)": ("a timestamp, c timestamp(0)",
                     "'2020-01-01'::timestamp + CASE i WHEN 50 THEN interval '0.4 s' ELSE '0' END, NULL", EVEN, "", ""),
    "blanks that are cut": ("a text, c varchar(3)", "CASE i WHEN 50 THEN 'abc  ' ELSE 'abc' END, NULL", EVEN, "", ""),
    "character(n)": ("c char(5)", "'a'", "UPDATE t{n} SET c = 'b' WHERE c = 'a  '", "", ""),
    "text of json": ("a json, c jsonb", "json_build_object('b', i, 'a', 1.0), NULL",
                     "UPDATE t{n} SET c = a::jsonb WHERE c IS DISTINCT FROM a::jsonb", "", ""),
    "enum": ("a text, c e{n}", "(ARRAY['x', 'Y'])[1 + i % 2], NULL", "UPDATE t{n} SET c = a::e{n} WHERE c IS NULL",
             "CREATE TYPE e{n} AS ENUM ('x', 'Y');", ""),
    "bounds of arrays": ("a int[], c int[]", "ARRAY[1, NULL], '[0:1]={{1,NULL}}'", EVEN, "", ""),
    "domain": ("a text, c d{n}", "'abc', NULL", EVEN, "CREATE DOMAIN d{n} AS text CHECK (value = lower(value));", ""),
    "hour that comes twice": ("a timestamptz, c timestamp", "'2023-10-29 00:00+00'::timestamptz + i * interval '1 min', NULL",
                              "UPDATE t{n} SET c = a AT TIME ZONE 'Europe/Stockholm' WHERE c IS NULL", "", ""),
    "row with a null": ("a int, c p{n}", "i, NULL", "UPDATE t{n} SET c = ROW(a, NULL) WHERE c IS NULL", TYPE, ""),
    "row of nulls": ("a int, c p{n}", "CASE WHEN i <> 50 THEN i END, NULL",
                     "UPDATE t{n} SET c = ROW(a, NULL)::p{n} WHERE c IS NULL", TYPE, ""),
    "three-valued": ("c bool", "(ARRAY[true, false, NULL])[1 + i % 3]", "UPDATE t{n} SET c = true WHERE NOT c", "", ""),
    "generated column": ("a int, c int", "i, NULL", FILL + " AND g IS NULL", "",
                         "ALTER TABLE t{n} ADD g int GENERATED ALWAYS AS (c * 2) STORED"),
    "either column": ("c int, d int", "CASE WHEN i % 2 = 0 THEN 5 END, NULL",
                      "UPDATE t{n} SET c = coalesce(c, 1), d = coalesce(d, 2) WHERE c IS NULL OR d IS NULL", "", ""),
    "trigger that keeps a row": ("a int, c int", "i, NULL", FILL, "",
                                 FIRES % ("IF OLD.id = 50 THEN RETURN NULL; END IF;", "UPDATE ON t{n}")),
    "trigger that gives the old row": ("a int, c int", "i, NULL", FILL, "",
                                       FIRES % ("IF OLD.id = 50 THEN RETURN OLD; END IF;", "UPDATE ON t{n}")),
    "trigger that sets more": ("a int, c int", "i, NULL", FILL, "", FIRES % ("NEW.c := NEW.c + 1;", "UPDATE ON t{n}")),
    "trigger of another column": ("a int, c int", "i, NULL", FILL, "", FIRES % ("NEW.pad := NULL;", "UPDATE OF a ON t{n}")),
    "trigger on the key": ("a int", "i", "INSERT INTO n{n} SELECT id, a FROM t{n} ON CONFLICT DO NOTHING",
                           "CREATE TABLE n{n} (id int PRIMARY KEY, o int);",
                           FIRES % ("NEW.id := NEW.id + 100000;", "INSERT ON n{n}")),
    "columns of a child in another order": (
        "a int NOT NULL, c int", "i, NULL", "UPDATE t{n} SET c = a + 1, pad = 'é' WHERE c IS NULL", "",
        ("CREATE TABLE k{n} (pad text, more int, c int, a int NOT NULL, id int NOT NULL); ALTER TABLE k{n} INHERIT t{n};"
         "INSERT INTO k{n} SELECT 'x', 1, NULL, i, -i FROM generate_series(1, 200) i")),
    "only the parent": ("a int, c int", "i, NULL", "UPDATE ONLY t{n} SET c = a WHERE c IS NULL", "",
                        "CREATE TABLE k{n} () INHERITS (t{n}); INSERT INTO k{n} SELECT -1, 1, NULL, 'x'"),
    "place of the row": ("c text", "NULL", "UPDATE t{n} SET c = ctid::text WHERE c IS NULL AND ctid < '(20,0)'", "", ""),
    "pages by the place": ("a int", "i", "DELETE FROM t{n} WHERE ctid >= '(20,0)' OR ctid = '(0,1)'", "", ""),
    "several matches": ("a int", "i % 7", "DELETE FROM t{n} USING u{n} WHERE k = a",
                        "CREATE TABLE u{n} AS SELECT k FROM (VALUES (1), (1), (2)) v (k);", ""),
    "rows of a series": ("c int", "NULL", "UPDATE t{n} SET c = v FROM generate_series(1, 3) v WHERE v = id % 4 AND c IS NULL",
                         "", ""),
    "not in a null": ("a int, c int", "i, NULL", FILL + " AND id NOT IN (SELECT k FROM u{n})",
                      "CREATE TABLE u{n} AS SELECT k FROM (VALUES (1), (NULL)) v (k);", ""),
    "key that is rounded": ("a numeric", "i * 0.5", "INSERT INTO n{n} SELECT a, a FROM t{n} ON CONFLICT DO NOTHING",
                            "CREATE TABLE n{n} (id numeric(9,0) PRIMARY KEY, o numeric);", ""),
    "key that is padded": ("a text", "i / 2 || repeat(' ', i % 3)",
                           "INSERT INTO n{n} SELECT a, a FROM t{n} ON CONFLICT DO NOTHING",
                           "CREATE TABLE n{n} (id char(8) PRIMARY KEY, o text);", ""),
    "exclusion": ("a int, c int4range", "i, NULL", "UPDATE t{n} SET c = int4range(a, a + 1) WHERE c IS NULL", "",
                  "ALTER TABLE t{n} ADD EXCLUDE USING gist (c WITH &&)"),
}  # fmt: skip


@pytest.mark.parametrize("rows", [60, 460])
def test_batches_leave_the_rows_of_one_statement(
    rows: int, conn: Connection, database: str, run_here: Callable, tmp_path: Path
) -> None:
    """60 rows are done in one transaction, 460 in batches."""
    sql = folder(tmp_path)
    (sql / "0001_fill.sql").unlink()
    for n, (columns, values, statement, before, after) in enumerate(CASES.values(), 1):
        parts = {"columns": columns.format(n=n), "values": values.format(n=n), "rows": rows}
        made = f"{before.format(n=n)} {TABLE.format(n=n, **parts)}; {after.format(n=n)}"
        for schema in ("alone", "mine"):
            conn.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}; SET search_path = {schema}; {made}".encode())
        conn.execute("SET search_path = alone")
        conn.execute(statement.format(n=n).encode())
        (sql / f"{n:03}_x.sql").write_text(BATCHED + statement.format(n=n))
    url = psycopg.conninfo.make_conninfo(database, options="-c search_path=mine")
    result = run_here("apply", "--database", url, "--migrations", "sql", "--pause", "0%", cwd=tmp_path)
    assert result.code == 0, result.err
    names = "SELECT array_agg(relname::text) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'alone'::regnamespace"
    differ = "(SELECT x::text FROM ONLY {0}.{2} x EXCEPT ALL SELECT x::text FROM ONLY {1}.{2} x)"
    both = [differ.format(*pair, "{0}") for pair in (("alone", "mine"), ("mine", "alone"))]
    tables = list(one(conn, names))  # type: ignore[call-overload]
    wrong = {
        name: one(conn, f"SELECT array_agg(d) FROM ({' UNION ALL '.join(both)}) d".format(name)) for name in tables
    }
    assert {name: rows for name, rows in wrong.items() if rows} == {}
    for n, kind in enumerate(CASES, 1):
        [account] = re.findall(rf"applied {n:03}_x .*\n((?:    .*\n)*)", result.out)
        assert ("rows in" in account) is (rows == 460 and "no rows" not in account), (kind, account)
