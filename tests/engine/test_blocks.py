"""BEGIN … COMMIT blocks in a file outside a transaction: one step each, committed with its note, not run twice."""

from pathlib import Path

import psycopg
import pytest

from pgyoyo.sql import parser

FILE = """\
-- transactional: false
BEGIN;
CREATE TABLE a (i int, path text);
SET application_name = 'from the block';
SET LOCAL work_mem = '1MB';
COMMIT;
CREATE INDEX CONCURRENTLY ai ON a (i);
BEGIN;
INSERT INTO a VALUES (1, current_setting('application_name'));
INSERT INTO a VALUES ({}, current_setting('application_name'));
COMMIT;
"""


def test_run_is_resumed_behind_the_blocks_that_are_done(
    tmp_path: Path, database: str, conn: psycopg.Connection, run_here
) -> None:
    path = tmp_path / "0001_a.sql"
    path.write_text(FILE.format("1 / 0"))
    options = ["--database", database, "--migrations", tmp_path]
    failed = run_here("apply", *options)
    assert (failed.code, f"{path}:10: in INSERT" in failed.err) == (1, True), failed.err
    assert conn.execute("SELECT statement, state FROM _pgyoyo_journal ORDER BY 1").fetchall() == [
        (1, "done"),
        (2, "done"),
    ]
    assert conn.execute("SELECT count(*) FROM a").fetchone() == (0,)
    path.write_text(FILE.format("2"))
    assert run_here("apply", *options).code == 0
    # What the first block set for the session is set again in the new one.
    assert conn.execute("SELECT DISTINCT path FROM a").fetchall() == [("from the block",)]
    assert conn.execute("SELECT i FROM a ORDER BY i").fetchall() == [(1,), (2,)]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("BEGIN; SELECT 1; COMMIT;", ["block"]),
        ("begin work;\nSELECT 1;\nend transaction;SELECT 2", ["block", "other"]),
        (
            "SELECT 0; BEGIN; SELECT 1; SELECT 2; COMMIT; BEGIN; COMMIT; BEGIN; SELECT 3; COMMIT",
            ["other", "block", "block"],
        ),
        ("BEGIN; SELECT 1;", ["begin", "other"]),
        ("BEGIN; SELECT 1; ROLLBACK;", ["begin", "other", "rollback"]),
        ("BEGIN; BEGIN; COMMIT;", ["begin", "begin", "commit"]),
        ("COMMIT; BEGIN;", ["commit", "begin"]),
        ("BEGIN; SELECT 1; COMMIT AND CHAIN; COMMIT", ["begin", "other", "chain", "commit"]),
        ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; SELECT 2", ["other", "other"]),
    ],
)
def test_blocks_are_found_only_where_they_are_whole(text: str, kinds: list[str]) -> None:
    script = parser.parse(text.encode(), transactional=False)
    assert [statement.kind for statement in script.statements] == kinds
    assert bool(parser.defects(script, transactional=False)) == ("begin" in kinds)
