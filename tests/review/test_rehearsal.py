"""What a rehearsal sees of statements: locks, for how long, what they do, and what it must not take for more than it is."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pgyoyo.migrations import reader
from pgyoyo.review import catalog_facts, observation, rules
from pgyoyo.review.rehearsal import Rehearsal
from pgyoyo.review.render.rule_page import PAIRS
from pgyoyo.review.sheet import ObservedStatement
from pgyoyo.review.stage import RehearsalDatabases
from pgyoyo.sql import parser
from staging import begin, go_on

BEFORE = PAIRS / "before.sql"
Rehearse = Callable[..., Rehearsal]


@pytest.fixture
def rehearse(tmp_path: Path, stage: RehearsalDatabases) -> Rehearse:
    """Rehearses a file after those that stand before it."""

    def rehearse(text: str, *before: str) -> Rehearsal:
        chain = [reader.read_one(BEFORE)]
        for number, sql in enumerate((*before, text)):
            path = tmp_path / f"{number:04}_x.sql"
            path.write_text(sql)
            chain.append(reader.read_one(path))
        begin(stage, chain[:-1])
        return stage.rehearse(chain[-1])

    return rehearse


def findings(rehearsal: Rehearsal) -> dict[str, list[str]]:
    """What happens, by rule."""
    happens: dict[str, list[str]] = {}
    for finding in rules.findings(rehearsal.step.file, rehearsal.statements, rehearsal.invalid()):
        happens.setdefault(finding.rule, []).append(finding.happens)
    return happens


def strong(seen: ObservedStatement) -> list[tuple[str, str]]:
    return [(lock.mode, lock.relation.name) for lock in seen.takes if lock.strong and lock.relation.kind != "index"]


def scanned(seen: ObservedStatement) -> list[str]:
    return [relation.name for relation in seen.work.scanned]


# --- How long ---


def test_code_is_judged_behind_a_statement_that_can_not_run_by_itself(rehearse: Rehearse) -> None:
    rehearsal = rehearse(
        "SAVEPOINT a;\nALTER TABLE pet ADD z int;\nROLLBACK TO a;\nDO $$ BEGIN UPDATE pet SET name = 'x'; END $$;"
    )
    assert not rehearsal.failed
    assert "not-measured" in findings(rehearsal) or "update-not-batched" in findings(rehearsal)


def test_what_is_done_to_a_table_that_was_emptied_takes_no_time(rehearse: Rehearse) -> None:
    rehearsal = rehearse(
        "TRUNCATE audit;\n"
        "ALTER TABLE audit ADD note text NOT NULL;\nALTER TABLE audit ALTER at TYPE text;\nCREATE INDEX ON audit (pet_id);\n"
        "TRUNCATE visit;\nALTER TABLE visit ADD CHECK (pet_id > 0);\n"
        "INSERT INTO audit SELECT id, at, 'x' FROM pet CROSS JOIN audit;\nALTER TABLE audit ADD CHECK (pet_id > 0);\n"
        "ALTER TABLE club ADD name text NOT NULL;"
    )
    given = findings(rehearsal)
    assert given.keys() & {"change-column-type", "index-not-concurrently"} == set()
    assert given["check-scans"] == ["it reads all of audit under ACCESS EXCLUSIVE, which blocks reads and writes"]
    assert given["not-null-without-default"] == ["existing rows of club have no value for it"]
    rehearsal = rehearse(
        "DO $$ BEGIN TRUNCATE audit; INSERT INTO audit SELECT id, now() FROM pet; END $$;\nCREATE INDEX ON audit (pet_id);\n"
        "SAVEPOINT a;\nTRUNCATE member;\nROLLBACK TO a;\nCREATE INDEX ON member (id, club_id);"
    )
    assert [words.split()[2] for words in findings(rehearsal)["index-not-concurrently"]] == [
        "audit_pet_id_idx", "member_id_club_id_idx",
    ]  # fmt: skip


def test_loop_over_rows_that_are_only_elsewhere_is_not_measured(rehearse: Rehearse) -> None:
    loop = "DO $$ DECLARE r record; BEGIN FOR r IN {} LOOP EXECUTE 'ALTER TABLE ' || {} || ' ADD z int'; END LOOP; END $$;\n"
    rehearsal = rehearse(
        loop.format("SELECT nspname AS n FROM pg_namespace WHERE nspname LIKE 'shop%'", "r.n || '.pet'")
        + loop.format("SELECT nickname FROM person WHERE id > 5", "r.nickname")
        + loop.format("SELECT relname FROM pg_class WHERE relname = 'pet'", "r.relname")
        + "DO $$ DECLARE n text; BEGIN FOREACH n IN ARRAY ARRAY(SELECT nspname FROM pg_namespace WHERE nspname = 'shop') "
        + "LOOP EXECUTE 'ALTER TABLE ' || n || '.pet ADD z int'; END LOOP; END $$;\n"
        + "UPDATE person SET age = 1 WHERE id = 5;\nDO $$ BEGIN PERFORM FROM pg_class; END $$;"
    )
    given = findings(rehearsal)
    none = "the query of its loop gave no row here, so no EXECUTE of it ran"
    assert [words.partition(";")[0] for words in given["loop-not-run"]] == [none] * 3
    assert "syntax error" in given["loop-not-run"][1] or "does not exist" in given["loop-not-run"][1]
    assert "not-measured" not in given


def test_dropped_key_with_quotes_in_its_name_is_found_at_its_statement(rehearse: Rehearse) -> None:
    rehearsal = rehearse(
        'ALTER TABLE pet ADD z int;\nDROP INDEX "Names";', 'CREATE UNIQUE INDEX "Names" ON pet (name);'
    )
    given = rules.findings(rehearsal.step.file, rehearsal.statements, (), rehearsal.facts())
    assert [finding.statement for finding in given if finding.rule == "drop-unique"] == [2]


def test_guard_that_only_counts_rows_has_nothing_to_measure(rehearse: Rehearse) -> None:
    raises = "IF n > 0 THEN RAISE EXCEPTION '% rows', n; END IF"
    block = "DO $$ DECLARE n bigint; BEGIN {}; {} END $$;\n"
    rehearsal = rehearse(
        block.format("SELECT count(*) INTO n FROM pet WHERE owner_id IS NULL", raises + ";")
        + block.format("ASSERT NOT EXISTS (SELECT FROM person WHERE age IS NULL)", "")
        + block.format("UPDATE audit SET at = now() WHERE pet_id = 5; SELECT count(*) INTO n FROM audit", raises + ";")
    )
    given = rules.findings(rehearsal.step.file, rehearsal.statements, ())
    assert {(finding.rule, finding.statement) for finding in given} == {("update-not-batched", 3)}


def test_row_found_by_its_key_is_no_work_that_takes_long(rehearse: Rehearse) -> None:
    rehearsal = rehearse("ALTER TABLE person ADD COLUMN x integer;\nUPDATE person SET x = 1 WHERE id = 7;")
    assert scanned(rehearsal.statements[1]) == []
    assert "lock-held-while-working" not in findings(rehearsal)


@pytest.mark.parametrize("work", ["SELECT count(*) FROM pet;", "DO $$ BEGIN PERFORM count(*) FROM pet; END $$;"])
def test_scan_is_seen_also_where_an_index_holds_all_that_it_asks_for(rehearse: Rehearse, work: str) -> None:
    rehearsal = rehearse(f"ALTER TABLE person ADD COLUMN x integer;\n{work}")
    assert scanned(rehearsal.statements[1]) == ["public.pet"]
    assert "lock-held-while-working" in findings(rehearsal)


def test_lock_that_a_savepoint_gives_back_is_not_held_any_more(rehearse: Rehearse) -> None:
    text = "SAVEPOINT a;\nALTER TABLE person ADD COLUMN x integer;\nROLLBACK TO a;\nUPDATE person SET age = 1;"
    rehearsal = rehearse(text)
    assert [lock.until for lock in rehearsal.statements[1].taken] == [3]
    assert rehearsal.statements[3].held == ()
    assert "lock-held-while-working" not in findings(rehearsal)


def test_value_that_few_of_many_loaded_rows_have_is_no_work_on_the_whole_table(stage: RehearsalDatabases) -> None:
    begin(stage, [reader.read_one(BEFORE), reader.from_texts("0002_x", "CREATE INDEX ON pet (friend_id);", None)])
    rows = "INSERT INTO pet (id, friend_id) SELECT n, n FROM generate_series(1, 900) AS n;"
    assert stage.load(parser.parse(rows.encode())) is None
    text = "UPDATE pet SET name = 'x' WHERE friend_id = 7;\nUPDATE pet SET name = 'x' WHERE friend_id > 7;"
    step = reader.from_texts("0003_x", text, None)
    rehearsal = stage.rehearse(step)
    found = rules.findings(step.apply, rehearsal.statements, rehearsal.invalid())
    assert [(each.rule, each.statement) for each in found if each.rule != "writes-other-table"] == [
        ("update-not-batched", 2)
    ]


# --- Names ---


def test_renamed_table_keeps_its_first_name(rehearse: Rehearse) -> None:
    rehearsal = rehearse("ALTER TABLE person RENAME TO people;\nALTER TABLE people ADD COLUMN x integer;\nSELECT 1;")
    assert [strong(seen) for seen in rehearsal.statements] == [[("ACCESS EXCLUSIVE", "public.person")]] * 2 + [[]]
    assert set(findings(rehearsal)) == {"lock-held-to-the-end", "result-type-changes"}


def test_renamed_constraint_renames_no_table(rehearse: Rehearse) -> None:
    text = "ALTER TABLE pet RENAME CONSTRAINT pet_owner_id_fkey TO person;\nALTER TABLE person ADD COLUMN x integer;"
    assert set(findings(rehearse(text))) == {"lock-held-to-the-end", "several-tables-locked", "result-type-changes"}


def test_table_that_takes_the_name_of_another_is_not_taken_for_it(rehearse: Rehearse) -> None:
    text = """
        CREATE TABLE new_person (LIKE person INCLUDING ALL);
        ALTER TABLE person RENAME TO old_person;
        ALTER TABLE new_person RENAME TO person;
        ALTER TABLE person ADD COLUMN x integer;"""
    rehearsal = rehearse(text)
    assert [strong(seen) for seen in rehearsal.statements] == [[], [("ACCESS EXCLUSIVE", "public.person")], [], []]


def test_names_may_hold_any_character(rehearse: Rehearse) -> None:
    text = 'ALTER TABLE "Ünï ""q"".x" ADD COLUMN "ä.b" integer;'
    rehearsal = rehearse(text, 'CREATE TABLE "Ünï ""q"".x" (id integer);')
    assert strong(rehearsal.statements[0]) == [("ACCESS EXCLUSIVE", 'public."Ünï ""q"".x"')]
    assert findings(rehearsal) == {"result-type-changes": ['the columns of "Ünï ""q"".x" change: ä.b']}


# --- Which tables ---


@pytest.mark.parametrize(
    ("text", "rules_of_it"),
    [
        ("DROP TABLE audit, spare;", {"several-tables-locked"}),
        ("TRUNCATE audit, pet;", {"several-tables-locked", "truncate"}),
        ("LOCK TABLE audit, pet IN SHARE MODE;", {"several-tables-locked", "lock-table"}),
        ("CREATE TABLE x (a bigint REFERENCES pet, b bigint REFERENCES person);", {"several-tables-locked"}),
        ("CREATE TABLE x (a bigint REFERENCES pet, b bigint REFERENCES pet);", set()),
        ("ALTER TABLE spare ADD FOREIGN KEY (a) REFERENCES pet NOT VALID;", set()),
        (
            """ALTER TABLE spare ADD FOREIGN KEY (a) REFERENCES pet NOT VALID,
               ADD FOREIGN KEY (a) REFERENCES person NOT VALID;""",
            {"several-tables-locked"},
        ),
        ("DROP FUNCTION note_pet CASCADE;", {"locks-other-table"}),
        ("DROP FUNCTION twice CASCADE;", {"locks-other-table", "several-tables-locked"}),
        ("DROP TYPE mood CASCADE;", {"locks-other-table", "several-tables-locked"}),
        ("DROP DOMAIN short CASCADE;", {"locks-other-table"}),
        ("ALTER TABLE visit_2025 ADD CHECK (pet_id > 0) NOT VALID;\nALTER TABLE visit ADD note text;", set()),
        ("ALTER TABLE visit ADD note text;\nALTER TABLE visit_2025 ALTER note SET DEFAULT 'x';", set()),
        ("ALTER TABLE visit ADD FOREIGN KEY (pet_id) REFERENCES pet;", {"foreign-key-scans"}),
        ("DROP VIEW a_view, b_view;", set()),
    ],
)
def test_tables_that_one_statement_locks_together(rehearse: Rehearse, text: str, rules_of_it: set[str]) -> None:
    before = """
        CREATE FUNCTION twice(bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT 2 * $1';
        CREATE TABLE spare (a bigint, m mood, twice bigint CHECK (twice(a) > 0));
        ALTER TABLE audit ADD CHECK (twice(pet_id) > 0);
        CREATE VIEW a_view AS SELECT id FROM person;
        CREATE VIEW b_view AS SELECT id FROM person;"""
    happens = findings(rehearse(text, before))
    aside = {"lock-held-to-the-end", "result-type-changes", "foreign-key-locks-both"}
    assert set(happens) - aside == rules_of_it, happens
    for what in happens.get("foreign-key-locks-both", []):
        assert "visit" not in what


def test_truncate_reads_nothing(rehearse: Rehearse) -> None:
    rehearsal = rehearse("ALTER TABLE person ADD COLUMN x integer;\nTRUNCATE audit;\nUPDATE pet SET name = 'truncate';")
    _, truncate, update = rehearsal.statements
    assert (scanned(truncate), scanned(update)) == ([], ["public.pet"])
    assert "reads all of audit" not in str(findings(rehearsal))


# --- What belongs to a table ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ALTER TABLE visit ADD COLUMN note text;", {"result-type-changes"}),
        ("CREATE INDEX visit_pet_id_idx ON visit (pet_id);", {"index-not-concurrently"}),
        ("CREATE INDEX visit_pet_id_idx ON ONLY visit (pet_id);", set()),
        ("DROP TABLE visit_2025;", {"partition-locks-parent"}),
        ("UPDATE visit SET pet_id = 1;", {"update-not-batched"}),
        ("TRUNCATE visit;", {"truncate"}),
        (
            "CREATE TABLE visit_2026 PARTITION OF visit FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');",
            {"partition-locks-parent", "attach-partition-scans"},
        ),
    ],
)
def test_partitions_are_no_other_tables(rehearse: Rehearse, text: str, expected: set[str]) -> None:
    assert set(findings(rehearse(text))) == expected


@pytest.mark.parametrize(
    ("text", "rule", "expected"),
    [
        (
            "UPDATE visit SET pet_id = 1;",
            "update-not-batched",
            "it reads all of visit and updates every row that matches",
        ),
        (
            "DROP INDEX visit_pet_id_idx;",
            "drop-index-not-concurrently",
            "ACCESS EXCLUSIVE on visit: blocks reads and writes",
        ),
    ],
)
def test_table_with_partitions_is_told_of_once(rehearse: Rehearse, text: str, rule: str, expected: str) -> None:
    assert findings(rehearse(text, "CREATE INDEX visit_pet_id_idx ON visit (pet_id);"))[rule] == [expected]


def test_partitions_that_no_file_makes_count_as_there(rehearse: Rehearse) -> None:
    text = (
        "CREATE INDEX ON ONLY visit (pet_id); CREATE INDEX ON visit (pet_id); ALTER TABLE visit ADD CHECK (pet_id > 0);"
    )
    hits = findings(rehearse(text, "DROP TABLE visit_2025, visit_other;"))
    where = "each partition of visit, of which there is none here, under"
    assert hits["index-not-concurrently"] == [f"it builds an index on {where} SHARE, which blocks writes"]
    assert hits["check-scans"] == [f"it reads {where} ACCESS EXCLUSIVE, which blocks reads and writes"]


def test_table_that_statements_lock_unnamed_is_told_of_once(rehearse: Rehearse) -> None:
    before = "ALTER TABLE pet ADD a bigint CONSTRAINT a REFERENCES person, ADD b bigint CONSTRAINT b REFERENCES person;"
    hits = findings(rehearse("ALTER TABLE pet DROP CONSTRAINT a; ALTER TABLE pet DROP CONSTRAINT b;", before))
    assert len(hits["locks-other-table"]) == 1


def test_index_that_a_partition_has_is_taken_as_apply_takes_it(rehearse: Rehearse) -> None:
    before = "CREATE INDEX ready ON visit_2025 (pet_id);"
    rehearsal = rehearse("-- transactional: false\nCREATE INDEX CONCURRENTLY i ON visit (pet_id);", before)
    indexes = {entry.name for entry in rehearsal.names.now.values() if entry.kind in ("index", "partitioned index")}
    assert not rehearsal.failed
    assert indexes >= {"public.ready", "public.i", "public.visit_other_i"}
    assert "public.visit_2025_i" not in indexes


def test_child_that_inherits_is_no_other_table(rehearse: Rehearse) -> None:
    rehearsal = rehearse("ALTER TABLE person ADD COLUMN x integer;", "CREATE TABLE child () INHERITS (person);")
    assert len(strong(rehearsal.statements[0])) == 2
    assert findings(rehearsal) == {"result-type-changes": ["the columns of person change: x"]}


def test_cascade_shows_every_table_that_it_empties(rehearse: Rehearse) -> None:
    rehearsal = rehearse("TRUNCATE person CASCADE;")
    assert [relation.name for relation in rehearsal.statements[0].work.emptied] == ["public.person", "public.pet"]
    assert rehearsal.statements[0].work.rewritten == ()
    assert len(findings(rehearsal)["truncate"]) == 2


# --- Code ---


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("DO $$ BEGIN UPDATE person SET age = 1; END $$;", "update-not-batched"),
        ("WITH gone AS (DELETE FROM pet RETURNING id) INSERT INTO audit (pet_id) SELECT id FROM gone;", "delete-not-batched"),
        ("EXPLAIN ANALYZE UPDATE person SET age = 1;", "update-not-batched"),
        ("SELECT widen();", "change-column-type"),
    ],
)  # fmt: skip
def test_what_code_does_is_seen(rehearse: Rehearse, text: str, rule: str) -> None:
    widen = "CREATE FUNCTION widen() RETURNS void LANGUAGE sql AS 'ALTER TABLE person ALTER age TYPE bigint';"
    rehearsal = rehearse(text, widen)
    assert {rule, "table-rewrite"} & set(findings(rehearsal))


def test_rows_that_triggers_write_are_counted(rehearse: Rehearse) -> None:
    rehearsal = rehearse("UPDATE pet SET name = 'max' WHERE id = 1;", "INSERT INTO pet VALUES (1, NULL, NULL, 'rex');")
    assert [str(rows) for rows in rehearsal.statements[0].work.rows] == [
        "1 inserted in public.audit",
        "1 updated in public.pet",
    ]


@pytest.mark.parametrize("setting", ["SET search_path = pg_catalog", "SELECT set_config('search_path', '', true)"])
def test_settings_of_the_file_hide_nothing(rehearse: Rehearse, setting: str) -> None:
    rehearsal = rehearse(f"{setting};\nALTER TABLE public.person ALTER COLUMN age TYPE bigint;")
    assert "change-column-type" in findings(rehearsal)


def test_role_that_a_file_makes_does_not_stop_the_rehearsal(rehearse: Rehearse) -> None:
    text = """
        CREATE ROLE pgyoyo_rehearsed;
        SET LOCAL ROLE pgyoyo_rehearsed;
        RESET ROLE;
        ALTER TABLE person ADD COLUMN x integer;
        DROP ROLE pgyoyo_rehearsed;"""
    rehearsal = rehearse(text)
    assert [seen.state for seen in rehearsal.statements] == ["ran"] * 5
    assert strong(rehearsal.statements[3]) == [("ACCESS EXCLUSIVE", "public.person")], "as its own transaction shows it"


# --- Outside of a transaction ---


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CREATE INDEX CONCURRENTLY pet_name_idx ON pet (name);", set()),
        ("REINDEX TABLE CONCURRENTLY person;", set()),
        ("REINDEX SCHEMA public;", {"no-lock-timeout", "reindex-not-concurrently"}),
        ("VACUUM FULL person;", {"no-lock-timeout", "rewrite-storage"}),
        ("CLUSTER person USING person_pkey;", {"rewrite-storage"}),
        ("REFRESH MATERIALIZED VIEW pets_per_person;", {"refresh-blocks-readers"}),
        ("DO $$ BEGIN INSERT INTO person VALUES (1, 'ann'); COMMIT; DELETE FROM pet WHERE id = 1; END $$;", set()),
        ("DO $$ BEGIN UPDATE person SET name = 'x' WHERE id > 0; COMMIT; END $$;", {"update-not-batched"}),
        (
            """DO $$ BEGIN FOR n IN 0..9 LOOP DELETE FROM person WHERE id >= 9 * n AND id < 9 * n + 9; COMMIT; END LOOP;
            END $$;""",
            {"batched-by-hand"},
        ),
    ],
)
def test_statements_outside_of_a_transaction_are_seen(rehearse: Rehearse, text: str, expected: set[str]) -> None:
    rehearsal = rehearse(f"-- transactional: false\n{text}")
    assert [seen.state for seen in rehearsal.statements] == ["ran"]
    assert set(findings(rehearsal)) == expected


def test_locks_outside_of_a_transaction_end_with_their_statement(rehearse: Rehearse) -> None:
    rehearsal = rehearse("-- transactional: false\nALTER TABLE pet ADD COLUMN x integer;\nUPDATE pet SET x = 1;")
    assert rehearsal.statements[1].held == ()
    assert "lock-held-while-working" not in findings(rehearsal)


# --- Odd files ---


def test_file_without_a_statement_has_nothing_to_see(rehearse: Rehearse) -> None:
    assert rehearse("-- nothing").statements == []


def test_file_in_its_own_begin_and_commit_is_seen_as_it_is_applied(rehearse: Rehearse) -> None:
    rehearsal = rehearse("BEGIN;\nALTER TABLE person ADD COLUMN x integer;\nUPDATE person SET x = 1;\nCOMMIT;")
    assert [seen.name for seen in rehearsal.statements] == ["ALTER TABLE person", "UPDATE person"]
    assert "lock-held-while-working" in findings(rehearsal)


def test_statement_too_long_for_the_parser_is_seen_all_the_same(rehearse: Rehearse) -> None:
    numbers = ", ".join(map(str, range(20_000)))
    rehearsal = rehearse(
        f"ALTER TABLE person ADD COLUMN x integer;\nUPDATE person SET x = 1 WHERE age + 0 IN ({numbers});"
    )
    assert len(rehearsal.statements[1].sql) > 1 << 16
    assert scanned(rehearsal.statements[1]) == ["public.person"]
    assert {"lock-held-while-working", "update-not-batched"} <= set(findings(rehearsal))


# --- What it costs ---


def test_relations_and_facts_are_read_once_after_each_change_however_long_the_chain(
    stage: RehearsalDatabases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    for module, name in ((observation, "relations"), (catalog_facts, "read")):
        reading = getattr(module, name)
        monkeypatch.setattr(module, name, lambda conn, reading=reading, name=name: read.append(name) or reading(conn))
    texts = ["CREATE TABLE a (x integer);", "ALTER TABLE a RENAME TO b;", "SELECT 1;", "CREATE INDEX ON b (x);"]
    chain = []
    for number, text in enumerate(texts):
        path = tmp_path / f"{number:04}_x.sql"
        path.write_text(text)
        chain.append(reader.read_one(path))
    begin(stage, [])
    stage.rehearse(chain[0])
    read.clear()
    rehearsals = [stage.rehearse(migration) for migration in chain[1:]]
    assert read == ["relations", "relations", "read", "read", "relations", "relations", "read"]
    assert strong(rehearsals[0].statements[0]) == [("ACCESS EXCLUSIVE", "public.a")]
    assert strong(rehearsals[2].statements[0]) == [("SHARE", "public.b")]


def test_copies_that_something_else_changed_are_read_again(stage: RehearsalDatabases, tmp_path: Path) -> None:
    texts = [
        "CREATE TABLE a (x integer);",
        "ALTER TABLE a RENAME TO b; CREATE TABLE c ();",
        "ALTER TABLE c ADD y integer;",
    ]
    chain = []
    for number, text in enumerate(texts):
        path = tmp_path / f"{number:04}_x.sql"
        path.write_text(text)
        chain.append(reader.read_one(path))
    begin(stage, [])
    stage.rehearse(chain[0])
    go_on(stage, [chain[1]])
    rehearsal = stage.rehearse(chain[2])
    assert strong(rehearsal.statements[0]) == [("ACCESS EXCLUSIVE", "public.c")]
    facts = rehearsal.facts()
    assert facts
    assert {table.name for table in facts.before.tables.values()} == {"public.b", "public.c"}


def test_block_outside_a_transaction_is_one_of_its_own(rehearse: Rehearse) -> None:
    rehearsal = rehearse(
        "-- transactional: false\nUPDATE pet SET name = 'max' WHERE id = 1;\n"
        "BEGIN;\nALTER TABLE person ADD size int;\nUPDATE person SET size = 1 WHERE id > 0;\nCOMMIT;\n"
        "UPDATE person SET size = 2 WHERE id = 1;\n"
        "BEGIN;\nALTER TABLE pet ADD size int;\nCOMMIT;"
    )
    assert [statement.state for statement in rehearsal.statements] == ["ran"] * 5
    result = findings(rehearsal)
    assert len(result["lock-held-while-working"]) == len(result["update-not-batched"]) == 1
    assert result["lock-held-while-working"][0].startswith("UPDATE person")
    assert "no-lock-timeout" not in result


def test_constraint_that_fails_at_the_end_of_a_block_fails_its_last_statement(rehearse: Rehearse) -> None:
    rehearsal = rehearse(
        "-- transactional: false\nBEGIN;\nINSERT INTO later VALUES (1, 7);\nCOMMIT;\nSELECT 1;",
        "CREATE TABLE later (id int PRIMARY KEY, up int REFERENCES later DEFERRABLE INITIALLY DEFERRED);",
    )
    assert [(each.state, each.line) for each in rehearsal.statements] == [("failed", 3), ("not reached", 5)]
