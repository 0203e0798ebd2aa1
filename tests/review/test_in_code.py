"""What a statement does by way of code, a prepared statement or a MERGE: found as the plain statement is, with its words."""

from collections.abc import Sequence

import pytest

from pgyoyo.migrations import reader
from pgyoyo.review import called, rules
from pgyoyo.review.sheet import NOTE
from pgyoyo.review.stage import RehearsalDatabases
from staging import begin

BEFORE = """
CREATE TABLE event (id bigint PRIMARY KEY, note text, score integer);
CREATE TABLE tag (id bigint PRIMARY KEY, event_id bigint REFERENCES event);
CREATE INDEX ON tag (event_id);
CREATE TABLE bare (id bigint, note text);
CREATE TABLE other (id bigint, note text);
CREATE FUNCTION purge() RETURNS void LANGUAGE sql AS $$ DELETE FROM bare WHERE note = 'x' $$;
CREATE FUNCTION empty() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'TRUNCATE bare'; END $$;
CREATE PROCEDURE empty_by_call() LANGUAGE sql AS 'SELECT empty()';
CREATE FUNCTION lock_all() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM 1 FROM bare FOR UPDATE; END $$;
CREATE FUNCTION lock_one(which bigint) RETURNS void LANGUAGE plpgsql AS
  $$ BEGIN PERFORM 1 FROM event WHERE id = which FOR UPDATE; END $$;
CREATE FUNCTION change_all() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN UPDATE event SET score = 1 WHERE id > 0; RETURN NEW; END $$;
CREATE FUNCTION change_one() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN UPDATE event SET score = 1 WHERE id = NEW.id; RETURN NEW; END $$;
CREATE TABLE small (id bigint);
CREATE TRIGGER fires AFTER INSERT ON small FOR EACH ROW EXECUTE FUNCTION change_one();
CREATE TABLE large (id bigint);
CREATE TRIGGER fires BEFORE INSERT ON large FOR EACH STATEMENT EXECUTE FUNCTION change_all();
CREATE VIEW behind AS SELECT * FROM large;
CREATE TABLE ruled (id bigint);
CREATE TABLE parts (id bigint) PARTITION BY LIST (id);
CREATE TABLE part_5 PARTITION OF parts FOR VALUES IN (5);
CREATE TRIGGER fires AFTER INSERT ON part_5 FOR EACH ROW EXECUTE FUNCTION change_all();
CREATE RULE changes AS ON INSERT TO ruled DO ALSO UPDATE event SET score = 1 WHERE id > 0;
"""
DELETES = "delete-not-batched", "it reads all of bare and deletes every row that matches"
UPDATES = "update-not-batched", "it reads all of bare and updates every row that matches"
CHANGES = "update-not-batched", "it reads all of event and updates every row that matches"
LOCKS = "update-not-batched", "it locks more rows of bare the more it holds"
EMPTIES = "truncate", "ACCESS EXCLUSIVE on bare, and all its rows are removed"
# One file: each statement, and its findings above a note.
CASES = (
    ("DO $$ BEGIN DELETE FROM bare WHERE note = 'x'; END $$", {DELETES}),
    ("DO $$ BEGIN UPDATE bare SET note = 'y' WHERE note = 'x'; END $$", {UPDATES}),
    ("SELECT purge()", {DELETES}),
    ("PREPARE gone AS DELETE FROM bare WHERE note = 'x'", set()),
    ("EXECUTE gone", {DELETES}),
    ("WITH gone AS (DELETE FROM bare WHERE note = 'x' RETURNING id) SELECT count(*) FROM gone", {DELETES}),
    ("DO $$ BEGIN PERFORM 1 FROM bare WHERE note = 'x' FOR UPDATE; END $$", {LOCKS}),
    ("DO $$ BEGIN PERFORM 1 FROM bare FOR SHARE; END $$", {LOCKS}),
    ("SELECT lock_all()", {LOCKS}),
    ("PREPARE held AS SELECT FROM bare FOR UPDATE", set()),
    ("EXECUTE held", {LOCKS}),
    ("SELECT lock_one(5)", set()),
    ("DO $$ BEGIN PERFORM 1 FROM event WHERE id = 5 FOR UPDATE; PERFORM count(*) FROM bare; END $$", set()),
    ("INSERT INTO small VALUES (5)", set()),
    ("INSERT INTO small SELECT id FROM event WHERE id > 0", {CHANGES}),
    ("INSERT INTO large VALUES (5)", {CHANGES}),
    ("INSERT INTO behind VALUES (5)", {CHANGES}),
    ("INSERT INTO ruled VALUES (5)", {CHANGES}),
    ("INSERT INTO parts VALUES (5)", {CHANGES}),
    ("WITH new AS (INSERT INTO large VALUES (5) RETURNING id) INSERT INTO other SELECT id FROM new", {CHANGES}),
    ("DO $$ BEGIN PERFORM count(*) FROM bare; PERFORM lock_all(); END $$", {LOCKS}),
    ("DO $$ BEGIN IF false THEN DELETE FROM bare; END IF; END $$", set()),
)  # fmt: skip
# What locks a table is the last of its file.
LAST = (
    ("DO $$ BEGIN TRUNCATE bare; END $$", {EMPTIES}),
    ("SELECT empty()", {EMPTIES}),
    ("CALL empty_by_call()", {EMPTIES}),
    ("DO $$ BEGIN TRUNCATE event CASCADE; END $$", {
        ("truncate", "ACCESS EXCLUSIVE on event, and all its rows are removed"),
        ("truncate", "ACCESS EXCLUSIVE on tag, and all its rows are removed"),
        ("truncate-cascade", "it also removes all rows of tag"),
    }),
)  # fmt: skip

# Queries, and whether the first rows that there are end them.
PEEKS = (
    ("SELECT FROM bare LIMIT 1", True), ("SELECT id FROM bare FETCH FIRST ROW ONLY", True),
    ("SELECT id FROM bare LIMIT 1000000", False), ("SELECT id FROM bare LIMIT ALL", False),
    ("SELECT id FROM bare LIMIT 1 OFFSET 1000000", False), ("SELECT count(*) FROM bare LIMIT 1", False),
    ("SELECT id FROM bare ORDER BY note LIMIT 1", False), ("SELECT id FROM bare WHERE note = 'x' LIMIT 1", False),
    ("SELECT EXISTS (SELECT FROM bare)", True), ("SELECT EXISTS (SELECT FROM bare LIMIT 1)", True),
    ("SELECT EXISTS (SELECT count(*) FROM bare)", False), ("SELECT EXISTS (SELECT FROM bare OFFSET 1000000)", False),
    ("DO $$ BEGIN IF EXISTS (SELECT FROM bare LIMIT 1) THEN RAISE 'it has rows'; END IF; END $$", True),
    ("DO $$ BEGIN IF EXISTS (SELECT FROM bare) THEN PERFORM max(id) FROM bare; END IF; END $$", False),
)  # fmt: skip

Found = set[tuple[str, str]]


def found(stage: RehearsalDatabases, name: str, statements: Sequence[str]) -> list[Found]:
    """The findings above a note on each statement of a file."""
    file = reader.from_texts(name, ";\n".join(statements), None)
    rehearsal = stage.rehearse(file)
    assert [each.error for each in rehearsal.statements if each.state != "ran"] == []
    each_finding = rules.findings(file.apply, rehearsal.statements, rehearsal.invalid(), rehearsal.facts())
    return [
        {(each.rule, each.happens) for each in each_finding if each.statement == number and each.severity != NOTE}
        for number in range(1, len(statements) + 1)
    ]


@pytest.mark.parametrize(("sql", "is_peek"), PEEKS)
def test_look_at_the_first_rows_is_known_by_its_text(sql: str, is_peek: bool) -> None:
    assert called.peeked(sql) == ({"bare"} if is_peek else set())


def test_code_is_found_as_the_plain_statement_is(stage: RehearsalDatabases) -> None:
    begin(stage, [reader.from_texts("0001_before", BEFORE, None)])
    results = found(stage, "0002_rows", [sql for sql, _ in CASES])
    assert [(sql, each) for (sql, _), each in zip(CASES, results, strict=True)] == list(CASES)
    if stage.admin.info.server_version >= 150000:
        merge = "MERGE INTO bare USING other ON other.id = bare.id WHEN MATCHED THEN DELETE"
        assert found(stage, "0003_merge", [merge]) == [{DELETES}]
    for number, (sql, expected) in enumerate(LAST):
        assert found(stage, f"0004_{number}", [sql]) == [expected], sql
