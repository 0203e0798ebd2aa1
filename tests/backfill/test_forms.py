"""Each way to name a table and its columns in an UPDATE, on each kind of table, in batches and in one transaction."""

import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection

from filling import BATCHED, folder
from pgyoyo.cli.main import main  # noqa: F401 - the entry point that run_here calls

FORMS = [
    "UPDATE s.t SET c = a WHERE c IS NULL",
    "UPDATE s.t SET c = t.a WHERE t.c IS NULL",
    "UPDATE s.t SET c = s.t.a WHERE s.t.c IS NULL",
    "UPDATE s.t SET c = s /* é */ . t.a WHERE S.T.c IS NULL -- s.t.c",
    "UPDATE t SET c = s.t.a WHERE s.t.c IS NULL AND s.t.* IS NOT NULL IS NOT NULL",
    'UPDATE "s"."t" SET c = "s"."t".a WHERE "s".t."c" IS NULL',
    "UPDATE s.t AS x SET c = x.a WHERE x.c IS NULL",
    'UPDATE s.t "X y" SET c = "X y".a WHERE "X y".c IS NULL',
    "UPDATE s.t new SET c = new.a WHERE new.c IS NULL",
    "UPDATE s.t * SET c = (t).a WHERE (t).c IS NULL AND t.c IS NULL",
    "UPDATE s.t SET c = coalesce(s.t.a, s.u.v) FROM s.u WHERE s.t.c IS NULL AND s.u.id = s.t.id % 3",
    "UPDATE s.t SET c = (SELECT max(s.u.v) + s.t.a - 1 FROM s.u) WHERE s.t.c IS NULL",
    "UPDATE s.t SET c = a WHERE s.t.c IS DISTINCT FROM s.t.a",
]
COLUMNS = "(id int, a int NOT NULL, c int, pad text)"
KINDS = {
    "plain": f"CREATE TABLE s.t {COLUMNS}",
    "below a view": f"CREATE TABLE s.t {COLUMNS}; CREATE VIEW s.v AS SELECT id, c FROM s.t WHERE c IS NULL",
    "partitioned": f"CREATE TABLE s.t {COLUMNS} PARTITION BY RANGE (id);"
    'CREATE TABLE s."P 1" PARTITION OF s.t FOR VALUES FROM (0) TO (700); CREATE TABLE s.rest PARTITION OF s.t DEFAULT',
    "inherited": f"CREATE TABLE s.t {COLUMNS}; CREATE TABLE s.child () INHERITS (s.t)",
}


@pytest.mark.parametrize("rows", [20, 1500])
@pytest.mark.parametrize("kind", KINDS)
def test_each_form_gives_the_rows_of_one_update(
    kind: str, rows: int, conn: Connection, database: str, run_here: Callable, tmp_path: Path
) -> None:
    """Three migrations for each form: the rows, the same each time, the form, and what it left."""
    sql = folder(tmp_path)
    (sql / "0001_fill.sql").unlink()
    conn.execute(f"CREATE SCHEMA s; {KINDS[kind]}; CREATE TABLE s.u (id int, v int)".encode())
    conn.execute(
        "INSERT INTO s.u VALUES (0, 1), (1, 1), (2, 1); CREATE TABLE s.left_by (form int, wrong bigint, there bool)"
    )
    fill = "; INSERT INTO {} SELECT i, i, NULL, repeat('x', 400) FROM generate_series(1, {}) i"
    # A table that grew from one form to the next would be a large one in the end.
    made = "TRUNCATE s.t" + "".join(
        fill.format(table, rows) for table in (("s.t", "s.child") if kind == "inherited" else ("s.t",))
    )
    wrong = "count(*) - count(*) FILTER (WHERE c = a), count(*) > 0"
    for number, form in enumerate(FORMS, 1):
        (sql / f"{number:03}1_make.sql").write_text(made)
        (sql / f"{number:03}2_fill.sql").write_text(BATCHED + form)
        (sql / f"{number:03}3_keep.sql").write_text(f"INSERT INTO s.left_by SELECT {number}, {wrong} FROM s.t")
    url = psycopg.conninfo.make_conninfo(database, options="-c search_path=s,public")
    result = run_here("apply", "--database", url, "--migrations", "sql", cwd=tmp_path)
    assert result.code == 0, result.err
    for number, form in enumerate(FORMS, 1):
        [said] = re.findall(rf"applied {number:03}2_fill .*\n((?:    .*\n)*)", result.out)
        assert ("rows in" in said) is (rows == 1500), (form, said)
    left = conn.execute("SELECT form, wrong, there FROM s.left_by ORDER BY form").fetchall()
    assert left == [(number, 0, True) for number in range(1, len(FORMS) + 1)], left
