"""What is held back for a backfill or for what waits for one: files that name what those change or create."""

import pytest

from pgyoyo.migrations import reader
from pgyoyo.migrations.later import without_backfills
from pgyoyo.migrations.plan import compare
from pgyoyo.migrations.status import Applied, Ledger

BACKFILL = "-- backfill: batched\nUPDATE t SET a = 1 WHERE a IS NULL"
# Each waits for the backfill of t, and makes, renames or fills x, which the next file names.
HOLDING = [
    "CREATE TABLE x AS SELECT * FROM t",
    "CREATE MATERIALIZED VIEW x AS SELECT * FROM t",
    "SELECT * INTO x FROM t",
    "CREATE INDEX x ON t (a)",
    "ALTER TABLE t RENAME TO x",
    "ALTER TABLE t RENAME COLUMN a TO x",
    "CREATE TYPE x AS (a t)",
    "CREATE SCHEMA x CREATE VIEW v AS TABLE public.t",
    "CREATE SCHEMA s CREATE VIEW x AS TABLE public.t",
    "WITH moved AS (INSERT INTO x SELECT * FROM t RETURNING a) SELECT FROM moved",
    "TRUNCATE t, x",
    "CREATE FUNCTION x(t) RETURNS int LANGUAGE sql AS 'SELECT $1.a'",
]


@pytest.mark.parametrize("text", HOLDING)
def test_file_waits_for_what_one_that_is_held_back_makes_or_changes(text: str) -> None:
    files = {"1_fill": BACKFILL, "2_makes": text, "3_names": "SELECT q.X", "4_free": "CREATE TABLE y (xx int)"}
    now, held = without_backfills([reader.from_texts(name, content, None) for name, content in files.items()])
    assert [migration.id for migration in now] == ["4_free"]
    assert [(entry.migration.id, entry.reason) for entry in held] == [
        ("1_fill", "a backfill"),
        ("2_makes", "names t, which 1_fill changes"),
        ("3_names", "names x, which 2_makes changes"),
    ]


def test_file_does_not_wait_for_what_one_that_is_held_back_only_reads() -> None:
    files = {"1_fill": BACKFILL, "2_reads": "INSERT INTO x SELECT f(u.a) FROM t, u", "3_names": "SELECT f(a) FROM u"}
    now, _ = without_backfills([reader.from_texts(name, content, None) for name, content in files.items()])
    assert [migration.id for migration in now] == ["3_names"]


@pytest.mark.parametrize("applied", [("3_free", "5_last"), ("3_free", "5_last", "1_fill")])
def test_file_that_came_late_is_out_of_order_though_a_backfill_before_it_was_held_back(
    applied: tuple[str, ...],
) -> None:
    texts = {"1_fill": BACKFILL, "2_names": "CREATE INDEX ON t (a)", "2_needs": "-- depends: 2_names\nSELECT 1",
             "3_free": "SELECT 1", "4_late": "CREATE TABLE y (x int)", "5_last": "SELECT 1"}  # fmt: skip
    files = [reader.from_texts(name, content, None) for name, content in texts.items()]
    known = {file.id: file for file in files}
    rows = tuple(Applied(name, known[name].hash, None) for name in applied)
    status = compare(files, Ledger("public", rows))
    assert [migration.id for migration in status.out_of_order] == ["4_late"]
