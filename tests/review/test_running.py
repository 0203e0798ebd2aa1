from pathlib import Path

import pytest
from psycopg import Connection

from pgyoyo.console import Console
from pgyoyo.migrations import reader
from pgyoyo.review.render import dispatch
from pgyoyo.review.review import Chain, review
from pgyoyo.review.running import Running
from pgyoyo.review.sheet import Review
from pgyoyo.workload import statements

ROOT = Path(__file__).parents[2]
# What a client sends that knows no total_budget.
OLD_CLIENT = """
SELECT id, bos_batch_id, event_correlation_id, language, course_code FROM cj_batch_uploads WHERE id = $1;
INSERT INTO cj_batch_uploads (bos_batch_id, event_correlation_id, language, course_code,
  expected_essay_count) VALUES ($1, $2, $3, $4, $5) RETURNING id;
UPDATE cj_batch_states SET state = $2 WHERE batch_id = $1;
"""
NEW_CLIENT = "-- name: budget\nSELECT total_budget FROM cj_batch_states WHERE batch_id = $1;"


def sent(tmp_path: Path, text: str) -> Running:
    path = tmp_path / "queries.sql"
    path.write_text(text)
    return Running(path, statements.read(path))


def reviewed(admin: Connection, tmp_path: Path, files: dict[str, str], queries: str) -> Review:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    chain = reader.read([str(tmp_path)]).migrations
    return review(admin, Chain(chain, [len(chain) - 1]), Console(quiet=True), running=sent(tmp_path.parent, queries))


def test_client_without_the_new_column_survives_the_migrations_of_this_project(
    admin: Connection, tmp_path: Path
) -> None:
    chain = reader.read([str(ROOT / "sql" / "migrations")]).migrations
    result = review(admin, Chain(chain, [3, 4]), Console(quiet=True), running=sent(tmp_path, OLD_CLIENT + NEW_CLIENT))
    assert not [finding for finding in result.findings if "running" in finding.rule]
    first, second = [next(note for note in sheet.notes if "running release" in note) for sheet in result.sheets]
    assert first.endswith(": 3 as before, 1 not understood by the schema before")
    assert second.endswith(": 4 as before")


def test_finding_points_to_the_statement_that_did_it_and_can_be_allowed(admin: Connection, tmp_path: Path) -> None:
    files = {
        "0001_a.sql": "CREATE TABLE a (id int PRIMARY KEY, x text); CREATE VIEW v AS SELECT id, x FROM a;",
        "0002_b.sql": "COMMENT ON TABLE a IS 'a';\nCREATE TABLE b ();\nALTER TABLE a DROP COLUMN x CASCADE;\n",
    }
    folder = tmp_path / "sql"
    folder.mkdir()
    queries = "-- name: of_view\n-- calls: 12\nSELECT x FROM v WHERE id = $1;\nSELECT id FROM a;"
    result = reviewed(admin, folder, files, queries)
    [finding] = [each for each in result.findings if each.rule == "breaks-running-query"]
    assert (finding.severity, finding.line) == ("error", 3)
    assert finding.happens == 'of_view (12 calls): SELECT x FROM v WHERE id = $1: relation "v" does not exist'
    line = "2 statements of the running release"
    for layout in ("text", "markdown", "json", "sarif", "html", "github"):
        shown = dispatch.render(result, layout, timings=False, color=False, width=100)
        assert "breaks-running-query" in shown
        assert line in " ".join(shown.split()) or layout in ("sarif", "github")
    files["0002_b.sql"] = "-- review: allow breaks-running-query: nobody reads v any more\n" + files["0002_b.sql"]
    result = reviewed(admin, folder, files, queries)
    [finding] = [each for each in result.findings if each.rule == "breaks-running-query"]
    assert finding.allowed == "nobody reads v any more"


def test_statement_is_counted_by_the_worst_that_becomes_of_it(admin: Connection, tmp_path: Path) -> None:
    files = {
        "0001_a.sql": "CREATE TABLE a (id int PRIMARY KEY, x int); CREATE TABLE c ();"
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'TABLE c'; END $$;"
        "CREATE FUNCTION g() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SELECT 1'; END $$;",
        "0002_b.sql": "ALTER TABLE a ADD COLUMN y int NOT NULL, ALTER COLUMN x TYPE bigint; ALTER TABLE c ADD z int;",
    }
    folder = tmp_path / "sql"
    folder.mkdir()
    queries = "INSERT INTO a (id) VALUES ($1) RETURNING *; SELECT x FROM a; SELECT * FROM c; SELECT id FROM a;"
    queries += " SELECT f(), g();"
    result = reviewed(admin, folder, files, queries)
    [note] = [note for sheet in result.sheets for note in sheet.notes if "running release" in note]
    assert note.endswith(": 2 as before, 1 writes what may be refused, 2 get other columns; not looked at: f()")
    found = {(each.rule, each.severity) for each in result.findings if "running" in each.rule}
    assert found == {
        ("breaks-running-write", "error"),
        ("changes-running-columns", "warning"),  # x has another type
        ("changes-running-columns", "note"),
    }


@pytest.mark.parametrize(
    ("text", "words"), [(None, "--queries names a file"), ("DROP TABLE a;", "neither reads nor writes")]
)
def test_file_that_can_not_be_meant_is_refused(run_here, tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "q.sql"
    if text:
        path.write_text(text)
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "0001_a.sql").write_text("CREATE TABLE a ();")
    done = run_here("review", "0001", "--migrations", tmp_path / "sql", "--queries", path)
    assert (done.code != 0, words in done.err) == (True, True), done.err
