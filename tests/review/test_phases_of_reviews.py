"""An expand migration is held to its word: what may break the running release is an error."""

from pathlib import Path

import pytest
from psycopg import Connection

from pgyoyo.console import Console
from pgyoyo.migrations import reader
from pgyoyo.migrations.migration import hash_of
from pgyoyo.review import rules
from pgyoyo.review.phases import held_to_phase
from pgyoyo.review.review import Chain, review
from pgyoyo.review.running import Running
from pgyoyo.review.sheet import ERROR, Finding
from pgyoyo.review.stage import RehearsalDatabases
from pgyoyo.workload import statements
from staging import begin

BEFORE = """CREATE TYPE mood AS ENUM ('calm'); CREATE DOMAIN short AS text; CREATE SEQUENCE s; CREATE SCHEMA app;
CREATE TABLE t (id int PRIMARY KEY, a text, b int, m mood, c varchar(5));
CREATE TABLE u (id int, n int CHECK (n IS NOT NULL)); CREATE VIEW v AS SELECT id FROM u;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE MATERIALIZED VIEW mv AS SELECT 1 AS x;"""
BREAKING = [
    "DROP TABLE u CASCADE", "DROP VIEW v", "DROP MATERIALIZED VIEW mv", "ALTER TABLE t DROP COLUMN a", "DROP FUNCTION f()",
    "DROP DOMAIN short", "DROP SEQUENCE s", "DROP SCHEMA app", "ALTER TABLE t RENAME TO tt", "ALTER TABLE t RENAME a TO aa",
    "ALTER FUNCTION f() RENAME TO g", "ALTER TYPE mood RENAME TO moods", "ALTER TYPE mood RENAME VALUE 'calm' TO 'still'",
    "ALTER TABLE t ALTER b TYPE bigint", "ALTER TABLE t ALTER c TYPE varchar(3)", "ALTER TABLE t ALTER a SET NOT NULL",
    "ALTER TABLE u ALTER n SET NOT NULL", "ALTER TABLE u ADD PRIMARY KEY (id)", "ALTER TABLE t ADD d int NOT NULL",
    "ALTER TABLE t SET SCHEMA app", "DROP VIEW v; CREATE VIEW w AS SELECT 1",
]  # fmt: skip
HARMLESS = [
    "ALTER TABLE t ADD d int", "CREATE TABLE w (id int PRIMARY KEY, x int NOT NULL)",
    "ALTER TABLE t ADD d int NOT NULL DEFAULT 1",
    "CREATE TABLE tmp (x int); DROP TABLE tmp", "ALTER TABLE t ALTER b DROP NOT NULL", "ALTER TYPE mood ADD VALUE 'angry'",
    "DROP VIEW v; CREATE VIEW v AS SELECT id, n FROM u",
    "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
    "ALTER TABLE t ALTER b SET DEFAULT 2", "ALTER VIEW v ALTER COLUMN id SET DEFAULT 1",
    "ALTER TABLE t RENAME TO tt; CREATE VIEW t AS SELECT * FROM tt",
]  # fmt: skip


def of_phase(stage: RehearsalDatabases, phase: str, text: str) -> list[Finding]:
    chain = [
        reader.from_texts("1_before", BEFORE, None),
        reader.from_texts("2_step", f"-- phase: {phase}\n{text}", None),
    ]
    begin(stage, [chain[0]._replace(hash=hash_of(BEFORE))])
    rehearsal = stage.rehearse(chain[1])
    assert not rehearsal.failed
    findings = rules.findings(chain[1].apply, rehearsal.statements, rehearsal.invalid(), rehearsal.facts())
    return held_to_phase(chain[1].apply, rehearsal.statements, findings, knows_queries=False)


@pytest.mark.parametrize("text", BREAKING)
def test_expand_migration_takes_nothing_away(stage: RehearsalDatabases, text: str) -> None:
    findings = of_phase(stage, "expand", text)
    assert [
        f for f in findings if f.severity == ERROR and ("phase: expand" in f.happens or f.rule == "expand-takes-away")
    ]


@pytest.mark.parametrize("text", HARMLESS)
def test_expand_migration_may_add_and_replace(stage: RehearsalDatabases, text: str) -> None:
    findings = of_phase(stage, "expand", text)
    assert not [f for f in findings if "phase: expand" in f.happens or f.rule == "expand-takes-away"]


def test_contract_migration_may_take_away(stage: RehearsalDatabases) -> None:
    findings = of_phase(stage, "contract", "ALTER TABLE t DROP COLUMN a; DROP FUNCTION f()")
    assert [f.rule for f in findings if f.severity == ERROR] == []
    assert "drop-column" in {f.rule for f in findings}


def test_with_the_statements_of_the_release_those_decide(admin: Connection, tmp_path: Path) -> None:
    folder = tmp_path / "sql"
    folder.mkdir()
    (folder / "1_before.sql").write_text(BEFORE)
    (folder / "2_step.sql").write_text(
        "-- phase: expand\nALTER TABLE t DROP COLUMN a; ALTER TABLE t ADD d int NOT NULL;\nDROP FUNCTION f();"
    )
    path = tmp_path / "queries.sql"
    path.write_text("SELECT b FROM t; INSERT INTO t (id) VALUES ($1);")
    chain = reader.read([str(folder)]).migrations
    result = review(admin, Chain(chain, [1]), Console(quiet=True), running=Running(path, statements.read(path)))
    strict = {f.rule for f in result.findings if "phase: expand" in f.happens or f.rule == "expand-takes-away"}
    assert strict == {"breaks-running-write"}
