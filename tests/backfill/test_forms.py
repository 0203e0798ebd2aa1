"""Each way to name a table and its columns in an UPDATE, on each kind of table, in batches and in one transaction."""

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
    """Each form is a migration of its own, of the same rows."""
    sql = folder(tmp_path)
    (sql / "0001_fill.sql").unlink()
    conn.execute(f"CREATE SCHEMA s; {KINDS[kind]}; CREATE TABLE s.u (id int, v int)".encode())
    conn.execute("INSERT INTO s.u VALUES (0, 1), (1, 1), (2, 1)")
    fill = "INSERT INTO {} SELECT i, i, NULL, repeat('x', 400) FROM generate_series(1, {}) i"
    url = psycopg.conninfo.make_conninfo(database, options="-c search_path=s,public")
    for number, form in enumerate(FORMS, 1):
        # A table that grew from one form to the next would be a large one in the end.
        conn.execute("TRUNCATE s.t")
        for table in ("s.t", "s.child") if kind == "inherited" else ("s.t",):
            conn.execute(fill.format(table, rows).encode())
        (sql / f"{number:04}_fill.sql").write_text(BATCHED + form)
        result = run_here("apply", "--database", url, "--migrations", "sql", cwd=tmp_path)
        assert result.code == 0, (form, result.err)
        assert ("rows in" in result.out) is (rows == 1500), (form, result.out)
        assert conn.execute("SELECT count(*) - count(*) FILTER (WHERE c = a), count(*) > 0 FROM s.t").fetchone() == (
            0,
            True,
        ), form
