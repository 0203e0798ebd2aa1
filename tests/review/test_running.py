import json
import re
import uuid
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
from pgyoyo.workload.statements import Query

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


def test_old_client_survives_this_project_and_the_new_one_does_not_survive_its_rollback(
    admin: Connection, tmp_path: Path
) -> None:
    chain = reader.read([str(ROOT / "sql" / "migrations")]).migrations
    new = Running(
        tmp_path / "new.sql", [Query("SELECT total_budget FROM cj_batch_states", "budget")], "the new release"
    )
    running = sent(tmp_path, OLD_CLIENT + NEW_CLIENT)
    result = review(admin, Chain(chain, [3, 4]), Console(quiet=True), running=running, new=new)
    first, second = [[note for note in sheet.notes if "release" in note] for sheet in result.sheets]
    assert first[0].endswith(": 3 as before, 1 not understood by the schema before")
    assert second[0].endswith(": 4 as before")
    assert [notes[1].partition(f"({new.path}): ")[2] for notes in (first, second)] == ["1 breaks", "1 as before"]
    [finding] = [each for each in result.findings if "running" in each.rule]
    rollback = chain[3].rollback
    assert rollback
    assert (finding.rule, finding.severity, finding.path) == ("breaks-running-query", "warning", rollback.path)
    assert rollback.data.splitlines()[finding.line - 1] == b"ALTER TABLE cj_batch_states"
    assert 'column "total_budget" does not exist' in finding.happens


BEFORE = """
CREATE TABLE a (id int PRIMARY KEY, x text, y int, z int);
CREATE INDEX a_z ON a (z);
CREATE VIEW v AS SELECT id, x FROM a;
CREATE TABLE b (id int, n int);
"""
# Each statement does what gives the rule in its place; the comments come before them.
CHANGES = (
    ("ALTER TABLE a DROP COLUMN x CASCADE;", "breaks-running-query"),
    ("ALTER TABLE a ADD CONSTRAINT y_over_0 CHECK (y > 0);", "breaks-running-write"),
    ("ALTER TABLE b ADD COLUMN m int;", "changes-running-columns"),
    ("ALTER TABLE b ALTER COLUMN n TYPE bigint;", "changes-running-parameters"),
    ("DROP INDEX a_z;", "query-loses-index"),
)
QUERIES = """
-- name: of_view
-- calls: 12
SELECT x FROM v WHERE id = $1;
INSERT INTO a (id, y) VALUES ($1, $2);
SELECT * FROM b;
UPDATE b SET n = $1;
SELECT id FROM a WHERE z = $1;
SELECT id FROM a;
"""


def written(folder: Path, *, allowed: bool) -> dict[str, str]:
    comments = [f"-- review: allow {rule}: {place}\n" if allowed else "" for place, (_, rule) in enumerate(CHANGES)]
    text = "".join(comment + statement + "\n" for comment, (statement, _) in zip(comments, CHANGES, strict=True))
    return {"0001_a.sql": BEFORE, "0002_b.sql": text, "0002_b.rollback.sql": "-- irreversible: a test\n"}


def test_finding_points_to_the_statement_that_did_it_in_every_format(admin: Connection, tmp_path: Path) -> None:
    folder = tmp_path / "sql"
    folder.mkdir()
    result = reviewed(admin, folder, written(folder, allowed=False), QUERIES)
    found = [finding for finding in result.findings if "running" in finding.rule or finding.rule == "query-loses-index"]
    places = {(finding.rule, finding.line) for finding in found}
    assert places == {(rule, place) for place, (_, rule) in enumerate(CHANGES, start=1)}
    [finding] = [each for each in found if each.rule == "breaks-running-query"]
    assert finding.severity == "error"
    assert finding.happens == 'of_view (12 calls): SELECT x FROM v WHERE id = $1: relation "v" does not exist'
    words = "6 statements of the running release"
    for layout in ("text", "markdown", "json", "sarif", "html", "github"):
        shown = dispatch.render(result, layout, timings=False, color=False, width=100)
        assert all(rule in shown for _, rule in CHANGES), layout
        assert words in " ".join(shown.split()) or layout in ("sarif", "github")
    sarif = json.loads(dispatch.render(result, "sarif", timings=False, color=False, width=100))
    lines = {
        (each["ruleId"], each["locations"][0]["physicalLocation"]["region"]["startLine"])
        for each in sarif["runs"][0]["results"]
    }
    assert places <= lines
    annotations = dispatch.render(result, "github", timings=False, color=False, width=100)
    assert all(re.search(rf"line={line}\b[^\n]*{rule}", annotations) for rule, line in places)


def test_every_finding_on_the_running_release_can_be_allowed_at_its_statement(
    admin: Connection, tmp_path: Path
) -> None:
    folder = tmp_path / "sql"
    folder.mkdir()
    result = reviewed(admin, folder, written(folder, allowed=True), QUERIES)
    allowed = {(finding.rule, finding.allowed) for finding in result.findings if finding.allowed}
    assert allowed >= {(rule, str(place)) for place, (_, rule) in enumerate(CHANGES)}
    assert not [finding for finding in result.findings if finding.rule == "allow-is-unused"]


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


def test_foreign_key_of_a_new_column_counts_where_the_migration_or_code_fills_it(
    admin: Connection, tmp_path: Path
) -> None:
    folder = tmp_path / "sql"
    folder.mkdir()
    files = {
        "0001_a.sql": "".join(f"CREATE TABLE t{n} (id int PRIMARY KEY);" for n in range(6)),
        # Nothing is copied: the tables have no rows here.
        "0002_b.sql": """
          CREATE TABLE of_t0 (id int REFERENCES t0);
          CREATE TABLE of_t1 (id int REFERENCES t1); INSERT INTO of_t1 SELECT id FROM t1;
          CREATE TABLE of_t2 AS SELECT id FROM t2; ALTER TABLE of_t2 ADD FOREIGN KEY (id) REFERENCES t2;
          CREATE TABLE of_t3 (id int REFERENCES t3); DO $$ BEGIN INSERT INTO of_t3 SELECT id FROM t3; END $$;
          CREATE TABLE of_t4 (id int REFERENCES t4);
          CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN INSERT INTO of_t4 VALUES (NEW.id); RETURN NEW; END $$;
          ALTER TABLE t0 ADD COLUMN t5_id int REFERENCES t5; UPDATE t0 SET t5_id = id;
          CREATE TRIGGER g AFTER INSERT ON t4 FOR EACH ROW EXECUTE FUNCTION f();""",
    }
    queries = "".join(f"DELETE FROM t{n} WHERE id = $1;" for n in range(6))
    result = reviewed(admin, folder, files, queries)
    refused = [finding.happens for finding in result.findings if finding.rule == "breaks-running-write"]
    assert sorted(re.findall(r"DELETE FROM (\w+)", " ".join(refused))) == ["t1", "t2", "t3", "t4", "t5"]


def test_new_release_is_judged_after_a_rollback_that_was_not_proved(admin: Connection, tmp_path: Path) -> None:
    role = f"of_test_{uuid.uuid4().hex[:12]}"
    files = {
        "0001_a.sql": f"CREATE ROLE {role}; CREATE TABLE a (id int);",  # no rollback is tried from here on
        "0002_b.sql": "ALTER TABLE a ADD COLUMN x int;",
        "0002_b.rollback.sql": "ALTER TABLE a DROP COLUMN x;",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    chain = reader.read([str(tmp_path)]).migrations
    new = Running(tmp_path / "new.sql", [Query("SELECT x FROM a")])
    result = review(admin, Chain(chain, [1]), Console(quiet=True), new=new)
    found = [(finding.rule, finding.path) for finding in result.findings if "running" in finding.rule]
    assert found == [("breaks-running-query", tmp_path / "0002_b.rollback.sql")]


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


def test_namesakes_in_another_schema_are_not_followed(admin: Connection, tmp_path: Path) -> None:
    files = {
        "0001_a.sql": "CREATE SCHEMA s; CREATE TABLE a (id int); CREATE TABLE c (z int); CREATE TABLE s.a (id int);"
        "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;"
        "CREATE FUNCTION s.noted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM z FROM c; RETURN NEW; END $$;"
        "CREATE TRIGGER g BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION noted();"
        "CREATE TRIGGER g BEFORE INSERT ON s.a FOR EACH ROW EXECUTE FUNCTION s.noted();"
        "CREATE FUNCTION f() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT sum(z) FROM c); END $$;"
        "CREATE VIEW v AS SELECT id FROM a; CREATE VIEW s.v AS SELECT f() AS id;",
        "0002_b.sql": "ALTER TABLE c RENAME z TO y;",
    }
    folder = tmp_path / "sql"
    folder.mkdir()
    queries = (
        "-- name: mine\nINSERT INTO a (id) VALUES (1);\n-- name: theirs\nINSERT INTO s.a (id) VALUES (1);\n"
        "-- name: view\nSELECT id FROM v;\n-- name: its\nSELECT id FROM s.v;\n-- name: cte\nWITH v AS (SELECT 1) TABLE v;"
    )
    result = reviewed(admin, folder, files, queries)
    broken = {
        finding.happens.partition(":")[0] for finding in result.findings if finding.rule == "breaks-running-query"
    }
    assert broken == {"theirs", "its"}
