"""Each class of failure has a few migrations that must be classed so, and right ones beside them that must not."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

import staging
from conftest import Owner
from pgyoyo.catalog import rows
from pgyoyo.console import Console
from pgyoyo.errors import DefectsError, UsageError
from pgyoyo.migrations import reader
from pgyoyo.prove.proof import Proof
from pgyoyo.prove.prover import prove
from pgyoyo.scratch import databases, row_maker, samples
from pgyoyo.scratch.history import History
from staging import Files

PEOPLE = (
    "CREATE TABLE person (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, born date, shoe integer);",
    "-- lossy: everybody is gone\nDROP TABLE person;",
)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Files], str]:
    """Writes migrations, up and down, and returns their folder; 0001_person comes first unless another 0001 does."""

    def write(files: Files) -> str:
        if not any(name.startswith("0001") for name in files):
            files = {"0001_person": PEOPLE} | files
        staging.write(tmp_path / "sql", files)
        return str(tmp_path / "sql")

    return write


@pytest.fixture
def proved(write, admin: psycopg.Connection) -> Callable[..., dict[str, Proof]]:
    """Proves migrations and returns the proofs by id."""

    def proved(files: Files, **options) -> dict[str, Proof]:
        folders = reader.read([write(files)])
        return {proof.id: proof for proof in prove(admin, folders, Console(quiet=True), **options)}

    return proved


def classes(proofs: dict[str, Proof]) -> dict[str, list[str]]:
    return {name: list(proof.findings) for name, proof in proofs.items() if proof.findings}


def said(proof: Proof) -> str:
    return "\n".join([line for lines in proof.findings.values() for line in lines] + proof.notes)


# --- Right ones. ---


def test_migrations_of_this_project_are_proved(admin: psycopg.Connection) -> None:
    folders = reader.read([str(Path(__file__).parents[2] / "sql" / "migrations")])
    proofs = list(prove(admin, folders, Console(quiet=True)))
    assert [proof.id for proof in proofs] == [one.id for one in folders.migrations]
    assert [proof.findings for proof in proofs] == [{}] * len(proofs)
    assert [proof.notes for proof in proofs] == [[]] * len(proofs)


def test_loss_that_0005_has_a_reason_for_is_seen(admin: psycopg.Connection, tmp_path: Path) -> None:
    for path in (Path(__file__).parents[2] / "sql" / "migrations").glob("*.sql"):
        (tmp_path / path.name).write_text(path.read_text().replace("-- lossy: the rows keep", "-- The rows keep"))
    proof = list(prove(admin, reader.read([str(tmp_path)]), Console(quiet=True)))[-1]
    assert proof.findings == {
        "lossy-without-reason": ["rows: public.cj_batch_states.total_budget: 4 of 8 rows changed"]
    }


def test_right_migrations_of_many_kinds_are_proved(proved) -> None:
    files: Files = {
        "0002_index": ("CREATE INDEX person_name_idx ON person (name);", "DROP INDEX person_name_idx;"),
        "0003_concurrently": (
            "-- transactional: false\nCREATE INDEX CONCURRENTLY person_born_idx ON person (born);",
            "-- transactional: false\nDROP INDEX CONCURRENTLY person_born_idx;",
        ),
        "0004_last_column": ("ALTER TABLE person ADD COLUMN pet text;", "ALTER TABLE person DROP COLUMN pet;"),
        "0005_view": ("CREATE VIEW adult AS SELECT name FROM person WHERE born < '2000-01-01';", "DROP VIEW adult;"),
        "0006_default": (
            "ALTER TABLE person ALTER COLUMN born SET DEFAULT now();",
            "ALTER TABLE person ALTER COLUMN born DROP DEFAULT;",
        ),
        "0007_search_path": (
            "SET search_path = ''; CREATE TABLE public.pet (owner integer REFERENCES public.person (id));",
            "BEGIN; DROP TABLE pet; COMMIT;",
        ),
        "0008_enum": ("CREATE TYPE mood AS ENUM ('sad', 'glad');", "DROP TYPE mood;"),
        "0009_rename": ("ALTER TABLE person RENAME shoe TO size;", "ALTER TABLE person RENAME size TO shoe;"),
        "0010_move": (
            (
                "CREATE TABLE shoe (person integer, size integer); INSERT INTO shoe SELECT id, size FROM person;"
                "ALTER TABLE person DROP COLUMN pet;"
            ),
            "-- lossy: pets are gone\nALTER TABLE person ADD COLUMN pet text; DROP TABLE shoe;",
        ),
    }
    proofs = proved(files)
    assert classes(proofs) == {}
    assert len(proofs) == 10


# --- A class each. ---


def test_error_in_up_and_what_depends_on_it(proved) -> None:
    files: Files = {
        "0002_typo": ("CREATE TABLE pet (id integer);\nSELECT 1 FRM pet;", "DROP TABLE pet;"),
        "0003_needs_it": ("-- depends: 0002_typo\nALTER TABLE pet ADD name text;", "ALTER TABLE pet DROP name;"),
        "0004_alone": ("CREATE TABLE toy (id integer);", "DROP TABLE toy;"),
        "0005_names_it": ("ALTER TABLE pet ADD age integer;", "ALTER TABLE pet DROP age;"),
    }
    proofs = proved(files)
    failed = {"0002_typo": ["statement-fails"], "0003_needs_it": ["not run"], "0005_names_it": ["statement-fails"]}
    assert classes(proofs) == failed
    assert "0002_typo, before it, can't be applied" in said(proofs["0005_names_it"])
    assert "before it" not in said(proofs["0002_typo"])
    assert "0002_typo.sql:2:" in said(proofs["0002_typo"])
    assert "0002_typo" in said(proofs["0003_needs_it"])


def test_error_in_the_rollback_leaves_the_rest_provable(proved) -> None:
    files: Files = {
        "0002_pet": ("CREATE TABLE pet (id integer);", "DROP TABLE pets;"),
        "0003_pet_name": ("ALTER TABLE pet ADD COLUMN name text;", "ALTER TABLE pet DROP COLUMN name;"),
        "0004_half": ("-- transactional: false\nCREATE INDEX CONCURRENTLY a ON pet (id);",
                      "-- transactional: false\nDROP INDEX CONCURRENTLY a;\nDROP INDEX CONCURRENTLY b;"),
        "0005_toy": ("CREATE TABLE toy (id integer);", "DROP TABLE toy;"),
    }  # fmt: skip
    proofs = proved(files)
    assert classes(proofs) == {"0002_pet": ["rollback-fails"], "0004_half": ["rollback-fails"]}
    assert 'table "pets" does not exist' in said(proofs["0002_pet"])
    assert 'index "b" does not exist' in said(proofs["0004_half"])


def test_rollback_that_only_an_empty_table_allows_fails(proved) -> None:
    files: Files = {
        "0002_drop": ("ALTER TABLE person DROP COLUMN shoe;", "ALTER TABLE person ADD COLUMN shoe integer NOT NULL;")
    }
    proofs = proved(files)
    assert classes(proofs) == {"0002_drop": ["rollback-fails"]}
    assert 'column "shoe" of relation "person" contains null values' in said(proofs["0002_drop"])


def test_migration_that_only_an_empty_table_allows_fails(proved) -> None:
    files: Files = {
        "0002_add": ("ALTER TABLE person ADD COLUMN pet text NOT NULL;", "ALTER TABLE person DROP COLUMN pet;")
    }
    proofs = proved(files)
    assert classes(proofs) == {"0002_add": ["statement-fails"]}
    assert "as soon as its tables have rows" in said(proofs["0002_add"])


def test_migration_that_sample_rows_only_happen_to_break_is_proved_with_others(proved) -> None:
    files: Files = {
        "0002_check": (
            "ALTER TABLE person ALTER COLUMN born SET NOT NULL; ALTER TABLE person ADD CHECK (shoe BETWEEN 34 AND 47);",
            "ALTER TABLE person DROP CONSTRAINT person_shoe_check, ALTER COLUMN born DROP NOT NULL;",
        ),
        "0003_link": (
            (
                "CREATE TABLE size (size integer PRIMARY KEY CHECK (size >= 34));"
                "ALTER TABLE person ADD FOREIGN KEY (shoe) REFERENCES size (size);"
            ),
            "ALTER TABLE person DROP CONSTRAINT person_shoe_fkey; DROP TABLE size;",
        ),
        "0004_loss": ("SELECT 1;", "UPDATE person SET shoe = NULL;"),
    }
    proofs = proved(files)
    assert classes(proofs) == {"0004_loss": ["lossy-without-reason"]}, "the rows are there, and are compared"
    assert 'column "born" of relation "person" contains null values' in said(proofs["0002_check"])
    assert "violates foreign key constraint" in said(proofs["0003_link"])


def test_leftover_and_missing_objects_differ(proved) -> None:
    files: Files = {
        "0002_leftover": ("CREATE TABLE pet (id integer); CREATE TABLE toy (id integer);", "DROP TABLE pet;"),
        "0003_changed": (
            "ALTER TABLE person ALTER COLUMN name TYPE varchar(999);",
            "ALTER TABLE person ALTER COLUMN name TYPE varchar(998);",
        ),
        "0004_right": ("CREATE INDEX person_name_idx ON person (name);", "DROP INDEX person_name_idx;"),
        "0005_too_much": ("CREATE INDEX b ON person (name);", "DROP INDEX b; DROP INDEX person_name_idx;"),
        "0006_right": ("DROP INDEX b;", "CREATE INDEX b ON person (name);"),
    }
    proofs = proved(files)
    assert classes(proofs) == {
        "0002_leftover": ["rollback-differs", "reapply-fails"], "0003_changed": ["rollback-differs", "rollback-fails"],
        "0005_too_much": ["rollback-differs"],
    }  # fmt: skip
    assert proofs["0002_leftover"].findings["rollback-differs"] == ["table public.toy: added"], (
        "without each of its columns"
    )
    assert proofs["0003_changed"].findings["rollback-differs"] == [
        "column public.person.name: text → character varying(998)"
    ] or "character varying(998)" in said(proofs["0003_changed"])
    assert "index public.person_name_idx: removed" in said(proofs["0005_too_much"])


def test_column_that_comes_back_last_differs_in_order_only_unless_a_reason_covers_it(proved) -> None:
    add, drop = "ALTER TABLE person ADD COLUMN born date;", "ALTER TABLE person DROP COLUMN born;"
    files: Files = {
        "0002_kept": (f"CREATE TABLE kept AS SELECT id, born FROM person; {drop}",
                      f"{add} UPDATE person p SET born = k.born FROM kept k WHERE k.id = p.id; DROP TABLE kept;"),
        "0003_next": ("ALTER TABLE person ADD COLUMN pet text;", "ALTER TABLE person DROP COLUMN pet;"),
        "0004_reason": ("ALTER TABLE person DROP COLUMN shoe;",
                        "-- lossy: sizes\nALTER TABLE person ADD COLUMN shoe integer;"),
    }  # fmt: skip
    proofs = proved(files)
    assert classes(proofs) == {"0002_kept": ["rollback-order-differs"]}
    assert "column order public.person: born is behind shoe" in said(proofs["0002_kept"])


def test_second_apply_that_fails(proved) -> None:
    files: Files = {
        "0002_once": (
            (
                "CREATE TABLE pet (id integer);"
                "DO $$ BEGIN IF (SELECT nextval('person_id_seq')) > 6 THEN RAISE EXCEPTION 'once only'; END IF; END $$;"
            ),
            "DROP TABLE pet;",
        ),
        "0003_on_it": ("CREATE INDEX pet_idx ON pet (id);", "DROP INDEX pet_idx;"),
    }
    proofs = proved(files)
    assert classes(proofs) == {"0002_once": ["reapply-fails"]}
    assert "once only" in said(proofs["0002_once"])
    assert proofs["0003_on_it"].notes == [], "the state after applying 0002 was made anew"


@pytest.mark.parametrize(
    ("up", "down", "rule", "copies"),
    [
        # One to see whether what remains is the same each time; no other rows would let it be made again.
        ("CREATE INDEX i ON person (shoe);", "SELECT 'nothing';", "reapply-fails", 1),
        # Nor would they make what it names: one copy without rows shows it.
        ("ALTER TABLE people ADD age integer;", "SELECT 'nothing';", "statement-fails", 1),
        # The most extreme values alone are in its way: one without them.
        (
            "ALTER TABLE person ADD CHECK (name <> '');",
            "ALTER TABLE person DROP CONSTRAINT person_name_check;",
            None,
            1,
        ),
    ],
)
def test_a_failure_takes_as_many_copies_more_as_it_needs(
    proved, monkeypatch: pytest.MonkeyPatch, up: str, down: str, rule: str | None, copies: int
) -> None:
    made = []
    fresh = History.fresh
    monkeypatch.setattr(History, "fresh", lambda history, i: made.append(i) or fresh(history, i))
    proof = proved({"0002_it": (up, down)}, ids=["0002_it"])["0002_it"]
    assert (rule in proof.findings) if rule else proof.findings == {}
    assert len(made) == copies


def test_second_apply_that_only_rows_written_meanwhile_break_is_tried_without_them(proved) -> None:
    up = """DO $$ BEGIN IF EXISTS (SELECT FROM shop WHERE size = -4711) THEN RAISE 'met again'; END IF; END $$;
            ALTER TABLE shop ALTER size DROP NOT NULL;"""
    down = """-- lossy: what is not known becomes -4711
            UPDATE shop SET size = -4711 WHERE size IS NULL; ALTER TABLE shop ALTER size SET NOT NULL;"""
    shop = "CREATE TABLE shop (id integer PRIMARY KEY, size integer NOT NULL);"
    proof = proved({"0001_shop": (shop, "-- lossy: all\nDROP TABLE shop;"), "0002_any": (up, down)})["0002_any"]
    assert proof.findings == {}
    assert proof.notes == ["applied again with other sample rows only: ERROR: met again (SQLSTATE P0001)"]


def test_second_apply_that_gives_something_else(proved) -> None:
    create = (
        "DO $$ BEGIN IF EXISTS (SELECT FROM person WHERE name = 'marked') THEN CREATE TABLE second (id integer);"
        "ELSE CREATE TABLE first (id integer); END IF; END $$;"
    )
    remove = "-- lossy: a mark\nDROP TABLE IF EXISTS first, second; UPDATE person SET name = 'marked';"
    proofs = proved({"0002_memory": (create, remove)})
    assert classes(proofs) == {"0002_memory": ["reapply-differs"]}
    assert "table public.second: added" in said(proofs["0002_memory"])


def test_rows_lost_or_changed_need_a_reason(proved) -> None:
    keyless = "CREATE TABLE note (text text, at date);"
    files: Files = {
        "0002_note": (keyless, "DROP TABLE note;"),
        "0003_delete": ("SELECT 1;", "DELETE FROM person WHERE id = 2;"),
        "0004_update": ("SELECT 1;", "UPDATE note SET at = '1999-01-01' WHERE at IS NOT NULL;"),
        "0005_insert": ("SELECT 1;", "INSERT INTO note (text) VALUES ('more');"),
        "0006_said": ("SELECT 1;", "-- lossy: they were not needed\nDELETE FROM person;"),
        "0007_replaced": ("DROP TABLE note;", keyless),
        "0008_precision": (
            "ALTER TABLE person ADD COLUMN height numeric; UPDATE person SET height = 1.85;",
            "ALTER TABLE person DROP COLUMN height;",
        ),
        "0009_type": (
            "ALTER TABLE person ALTER COLUMN born TYPE text;",
            "ALTER TABLE person ALTER COLUMN born TYPE date USING date_trunc('year', born::date);",
        ),
    }
    proofs = proved(files)
    lossy = ["0003_delete", "0004_update", "0005_insert", "0007_replaced"]
    assert classes(proofs) == {name: ["lossy-without-reason"] for name in lossy} | {
        "0009_type": ["lossy-without-reason", "rollback-fails"]
    }
    assert said(proofs["0003_delete"]) == "rows: public.person: 1 of 5 rows gone"
    assert said(proofs["0004_update"]) == "rows: public.note.at: 4 of 5 rows changed"
    assert said(proofs["0005_insert"]) == "rows: public.note: 1 rows more than before"
    assert "rows gone" in said(proofs["0007_replaced"])
    assert "public.person.born" in said(proofs["0009_type"])
    assert proofs["0006_said"].lossy == "they were not needed"


def test_triggers_do_not_make_a_right_rollback_look_lossy(proved) -> None:
    files: Files = {
        "0002_touch": (
            """
            ALTER TABLE person ADD COLUMN touched timestamptz, ADD COLUMN pets integer NOT NULL DEFAULT 0;
            CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN NEW.touched := clock_timestamp(); RETURN NEW; END $$;
            CREATE TRIGGER touch BEFORE UPDATE ON person FOR EACH ROW EXECUTE FUNCTION touch();
            """,
            """
            DROP TRIGGER touch ON person; DROP FUNCTION touch();
            ALTER TABLE person DROP COLUMN touched, DROP COLUMN pets;
            """,
        ),
        "0003_add": ("ALTER TABLE person ADD COLUMN nick text;", "ALTER TABLE person DROP COLUMN nick;"),
        "0004_count": (
            """
            CREATE TABLE pet (owner integer REFERENCES person (id));
            CREATE FUNCTION tally() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN UPDATE person SET pets = pets + 1 WHERE id = NEW.owner; RETURN NEW; END $$;
            CREATE TRIGGER tally BEFORE INSERT ON pet FOR EACH ROW EXECUTE FUNCTION tally();
            """,
            "DROP TABLE pet; DROP FUNCTION tally();",
        ),
        "0005_update": ("UPDATE person SET nick = lower(nick);", "SELECT 'the trigger has touched them all';"),
    }
    proofs = proved(files)
    assert classes(proofs) == {"0005_update": ["lossy-without-reason"]}
    assert "rows: public.person.touched: 5 of 5 rows changed" in said(proofs["0005_update"])


def test_volatile_definitions_are_told_from_wrong_rollbacks(proved) -> None:
    files: Files = {
        "0002_frozen": (
            ("ALTER TABLE person ADD COLUMN at timestamp DEFAULT 'now'::timestamp;"
            "CREATE VIEW today AS SELECT * FROM person WHERE at > 'now'::timestamp;"),
            "DROP VIEW today; ALTER TABLE person DROP COLUMN at;",
        ),
        "0003_after_it": ("CREATE INDEX a ON person (at);", "DROP INDEX a;"),
        "0003_touch_frozen": (
            "ALTER TABLE person ALTER COLUMN at SET STATISTICS 50;",
            "ALTER TABLE person ALTER COLUMN at SET STATISTICS -1;",
        ),
        "0004_back_to_frozen": (
            "ALTER TABLE person ALTER COLUMN at SET DEFAULT now();",
            "ALTER TABLE person ALTER COLUMN at SET DEFAULT 'now'::timestamp;",
        ),
        "0005_today": (
            "DO $$ BEGIN EXECUTE 'CREATE TABLE log_' || to_char(now(), 'YYYYMMDD') || '(id integer)'; END $$;",
            "DO $$ BEGIN EXECUTE 'DROP TABLE log_' || to_char(now(), 'YYYYMMDD'); END $$;",
        ),
        "0005_today_again": (
            ("DO $$ BEGIN EXECUTE 'ALTER TABLE log_' || to_char(now(), 'YYYYMMDD') || ' ADD COLUMN b integer';"
            "EXECUTE 'CREATE INDEX ON log_' || to_char(now(), 'YYYYMMDD') || ' (b)'; END $$;"),
            "DO $$ BEGIN EXECUTE 'ALTER TABLE log_' || to_char(now(), 'YYYYMMDD') || ' DROP COLUMN b'; END $$;",
        ),
        "0006_random": (
            "DO $$ BEGIN EXECUTE format('CREATE TABLE %I (id integer)', 'tmp_' || gen_random_uuid()); END $$;",
            "DO $$ BEGIN EXECUTE (SELECT format('DROP TABLE %I', relname) FROM pg_class WHERE relname LIKE 'tmp_%'); END $$;",
        ),
        "0007_said": (
            f"CREATE TABLE log_{datetime.now(UTC):%Y_%m_%d} (id integer);",
            f"DROP TABLE log_{datetime.now(UTC):%Y_%m_%d};",
        ),
        "0008_volatile_and_wrong": (
            "ALTER TABLE person ADD COLUMN to_ timestamp DEFAULT 'now'::timestamp; CREATE TABLE left_over (id integer);",
            "ALTER TABLE person DROP COLUMN to_; ALTER TABLE left_over RENAME TO moved;",
        ),
    }  # fmt: skip
    proofs = proved(files)
    volatile = ["0002_frozen", "0004_back_to_frozen", "0005_today", "0006_random"]
    assert classes(proofs) == {name: ["not-repeatable"] for name in volatile} | {
        "0008_volatile_and_wrong": ["rollback-differs", "not-repeatable"]
    }
    assert "view public.today" in said(proofs["0002_frozen"])
    assert "holds today's date" in said(proofs["0005_today"])
    assert proofs["0008_volatile_and_wrong"].findings["rollback-differs"] == ["table public.moved: added"]


CHAIN: Files = {
    "0002_schema": ("CREATE SCHEMA app;", "DROP SCHEMA app CASCADE;"),
    "0003_leaves_it": ("CREATE TABLE app.pet (id integer);", "SELECT 'the schema goes anyway';"),
    "0004_wrong": ("CREATE TABLE toy (id integer); CREATE TABLE ball (id integer);", "DROP TABLE toy;"),
}


def test_rollbacks_that_restore_only_together_are_told_with_chain(proved) -> None:
    proofs = proved(CHAIN, chain=True)
    assert classes(proofs)["0003_leaves_it"] == ["chain only"]
    assert classes(proofs)["0004_wrong"] == ["rollback-differs", "reapply-fails"]
    assert "together with the rollback of 0002_schema" in said(proofs["0003_leaves_it"])


def test_rollbacks_that_work_in_the_chain_only_are_no_failures(proved) -> None:
    files: Files = {
        "0002_schema": ("CREATE SCHEMA app; CREATE TABLE app.pet (id integer NOT NULL);", "DROP SCHEMA app CASCADE;"),
        "0003_loose": ("ALTER TABLE app.pet ALTER id DROP NOT NULL;", "SELECT 'the schema goes anyway';"),
        "0004_needs_an_empty_table": ("SELECT 1;", "ALTER TABLE app.pet ALTER id SET NOT NULL;"),
        "0005_next": ("SELECT 1;", "SELECT 1;"),
    }
    proofs = proved(files, chain=True)
    assert classes(proofs) == {"0003_loose": ["chain only"], "0004_needs_an_empty_table": ["chain only"]}
    assert "contains null values" in said(proofs["0004_needs_an_empty_table"])


def test_without_chain_they_differ(proved) -> None:
    assert classes(proved(CHAIN))["0003_leaves_it"] == ["rollback-differs", "reapply-fails"]


def test_failure_is_told_once_with_chain(write, admin: psycopg.Connection) -> None:
    folders = reader.read([write(CHAIN | {"0005_typo": ("CREATE TABL x;", "SELECT 1;")})])
    proofs = list(prove(admin, folders, Console(quiet=True), chain=True))
    assert [proof.id for proof in proofs] == [one.id for one in folders.migrations]


def test_chain_goes_on_below_what_is_irreversible(proved) -> None:
    files: Files = {
        "0004_final": ("DROP TABLE person;", "-- irreversible: nobody remembers them\n"),
        "0005_schema": ("CREATE SCHEMA web;", "DROP SCHEMA web CASCADE;"),
        "0006_leaves_it": ("CREATE VIEW web.one AS SELECT 1 AS one;", "SELECT 1;"),
    }
    found = classes(proved(CHAIN | files | {"0004_wrong": ("SELECT 1;", "SELECT 1;")}, chain=True))
    assert {name: kinds[0] for name, kinds in found.items()} == {
        "0003_leaves_it": "chain only", "0006_leaves_it": "chain only",
    }  # fmt: skip


def test_irreversible_needs_a_reason_and_missing_or_empty_is_a_finding(proved) -> None:
    files: Files = {
        "0002_final": ("DROP TABLE person;", "-- irreversible: nobody remembers them\n"),
        "0003_missing": ("CREATE TABLE pet (id integer);", None),
        "0004_empty": ("ALTER TABLE pet ADD name text;", "-- to be written\n"),
        "0005_right": ("ALTER TABLE pet ADD owner text;", "ALTER TABLE pet DROP owner;"),
        "0006_missing": ("CREATE TABLE toy (size integer);", None),
        "0007_missing_and_too_narrow": ("ALTER TABLE toy ALTER size TYPE smallint;", None),
    }
    proofs = proved(files)
    assert "refuses values at the edges" in said(proofs["0007_missing_and_too_narrow"])
    assert classes(proofs) == {
        "0006_missing": ["irreversible-without-reason"],
        "0007_missing_and_too_narrow": ["irreversible-without-reason"],
        "0003_missing": ["irreversible-without-reason"],
        "0004_empty": ["irreversible-without-reason"],
    }
    assert proofs["0002_final"].irreversible == "nobody remembers them"


def test_irreversible_migration_that_fails_is_a_failure(proved) -> None:
    files: Files = {
        "0002_final": ("DROP TABLE persons;", "-- irreversible: nobody remembers them\n"),
        "0003_next": ("ALTER TABLE persons ADD a integer;", "SELECT 'nothing';"),
    }
    proofs = proved(files)
    assert classes(proofs) == {"0002_final": ["statement-fails"], "0003_next": ["statement-fails"]}
    assert proofs["0003_next"].notes == [
        "0002_final, before it, can't be applied: what is missing here may come from there"
    ]


# --- What is chosen, and what is refused. ---


def test_ids_and_from_choose_what_is_proved_on_top_of_the_rest(proved) -> None:
    files: Files = {f"{n:04}_t": (f"CREATE TABLE t{n} (id integer);", f"DROP TABLE t{n};") for n in range(1, 6)}
    files["0002_t"] = ("CREATE TABLE t2 (id integer);", "SELECT 'wrong, but not asked for';")
    assert list(proved(files, ids=["0003", "5"])) == ["0003_t", "0005_t"]


def test_from_chooses_all_that_follow_and_says_what_fails_before(proved) -> None:
    files: Files = {f"{n:04}_t": (f"CREATE TABLE t{n} (id integer);", f"DROP TABLE t{n};") for n in range(1, 5)}
    files["0001_t"] = ("CREATE TABL t1;", "SELECT 1;")
    proofs = proved(files, start="0003")
    assert sorted(proofs) == ["0001_t", "0003_t", "0004_t"]
    assert classes(proofs) == {"0001_t": ["statement-fails"]}


def test_ids_and_from_together_are_refused(proved) -> None:
    with pytest.raises(UsageError, match="ids or --from"):
        proved({}, ids=["1"], start="1")


def test_what_other_databases_of_the_server_share_is_not_touched(proved) -> None:
    files: Files = {
        "0002_role": ("CREATE TABLE pet (id integer);\nCREATE ROLE pgyoyo_nobody;", "DROP ROLE pgyoyo_nobody;"),
        "0003_prose": ("-- Create user table, drop database links.\nCREATE TABLE users (id int);", "DROP TABLE users;"),
    }
    with pytest.raises(UsageError, match=r"0002_role.sql:2: CREATE ROLE\n.*\n.*--scratch URL") as caught:
        proved(files, alone=False)
    assert "0003_prose" not in str(caught.value)


def test_files_that_would_leave_their_transaction_are_refused_first(proved) -> None:
    with pytest.raises(DefectsError, match="COMMIT"):
        proved({"0002_commits": ("SELECT 1; COMMIT; SELECT 2;", "SELECT 1;")})


# --- Sample rows. ---

TYPES = """
    CREATE SCHEMA app;
    CREATE TYPE app.mood AS ENUM ('sad', 'it''s "fine"', 'glad');
    CREATE TYPE app.place AS (street text, number integer, moods app.mood[]);
    CREATE TYPE app.span AS RANGE (subtype = timestamptz);
    CREATE DOMAIN app.email AS text CHECK (VALUE ~ '^[^@]+@[^@]+$');
    CREATE DOMAIN app.code AS char(3) NOT NULL CHECK (VALUE = upper(VALUE) AND VALUE ~ '^[A-Z]{3}$');
    CREATE DOMAIN app.age AS smallint CHECK (VALUE BETWEEN 18 AND 99);
    CREATE DOMAIN app.elder AS app.age CHECK (VALUE > 90);
"""
COLUMNS = """
    boolean, smallint, integer, bigint, numeric, numeric(2,2), numeric(3,1), real, double precision, money, oid, regclass,
    text, varchar(1), varchar(40), char, char(7), name, "char", bytea, uuid, json, jsonb, tsvector, tsquery, jsonpath,
    date, time, timetz, timestamp, timestamptz(3), interval, interval day to second, inet, cidr, macaddr, macaddr8,
    point, line, lseg, box, path, polygon, circle, bit, bit(5), bit varying(9), pg_lsn, pg_snapshot, tid, xid,
    int4range, numrange, daterange, tstzrange, int8multirange, datemultirange, integer[], text[][], jsonb[], date[],
    app.mood, app.mood[], app.place, app.place[], app.span, app.email, app.email[], app.code, app.age, app.elder
"""


def columns() -> Iterator[str]:
    """The list above, but not within brackets."""
    depth, word = 0, ""
    for letter in COLUMNS + ",":
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and not depth:
            yield word.strip()
            word = ""
        else:
            word += letter


def test_every_type_gets_values_even_when_it_must_have_one(conn: psycopg.Connection) -> None:
    conn.execute(TYPES)
    conn.execute(
        "CREATE TABLE app.everything (" + ", ".join(f"c{i} {name} NOT NULL" for i, name in enumerate(columns())) + ")"
    )
    count, notes, _, _ = samples.fill(conn, {})
    assert notes == []
    assert count == row_maker.ROWS
    held = rows.rows(conn)["app.everything"]
    same = [name for i, name in enumerate(columns()) if len({row[f"c{i}"] for row in held.rows}) < 2]
    assert set(same) <= {'"char"', "app.code", "tsquery", "char", "varchar(1)"}, "rows that are alike hide a change"


def test_nullable_columns_hold_values_and_nulls(conn: psycopg.Connection) -> None:
    conn.execute(TYPES)
    conn.execute(
        "CREATE TABLE app.everything (" + ", ".join(f"c{i} {name}" for i, name in enumerate(columns())) + ", c xml)"
    )
    notes = samples.fill(conn, {}).notes
    assert notes in ([], ["no values in app.everything.c: unsupported XML feature"]), (
        "xml is there if the server was built with it"
    )
    (query,) = conn.execute(
        "SELECT string_agg(format('count(%I) BETWEEN 1 AND 4', attname), ' AND ') FROM pg_attribute"
        " WHERE attrelid = 'app.everything'::regclass AND attnum > 0 AND atttypid::regtype::text NOT IN ('app.code', 'xml')"
    ).fetchone()
    assert conn.execute(f"SELECT {query} FROM app.everything").fetchone() == (True,)


def test_constraints_are_met_as_well_as_can_be(conn: psycopg.Connection) -> None:
    conn.execute('''
        CREATE TABLE z_buyer (id bigint PRIMARY KEY, name text);
        CREATE TABLE a_order (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), buyer bigint NOT NULL REFERENCES z_buyer,
            kind text NOT NULL CHECK (kind IN ('cash', 'card')), "from" date, until date, CHECK (until > "from"),
            price numeric(8,2) NOT NULL CHECK (price > 100), twice numeric GENERATED ALWAYS AS (price * 2) STORED,
            code text UNIQUE CHECK (length(code) = 12), either integer, other integer,
            CHECK (num_nonnulls(either, other) = 1),
            EXCLUDE USING gist (daterange("from", until) WITH &&));
        CREATE TABLE line (buyer integer, number integer, parent integer NOT NULL, PRIMARY KEY (buyer, number));
        CREATE TABLE part (buyer integer NOT NULL, number integer NOT NULL, note text,
            FOREIGN KEY (buyer, number) REFERENCES line (buyer, number));
        CREATE TABLE one_to_one (id bigint PRIMARY KEY REFERENCES z_buyer DEFERRABLE INITIALLY DEFERRED);
        CREATE TABLE tree (id integer PRIMARY KEY, parent integer REFERENCES tree);
        CREATE TABLE log (at date NOT NULL, id serial, PRIMARY KEY (at, id)) PARTITION BY RANGE (at);
        CREATE TABLE log_2030 PARTITION OF log FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
        CREATE TABLE kinds (kind text, note text) PARTITION BY LIST (kind);
        CREATE TABLE kinds_x PARTITION OF kinds FOR VALUES IN ('x', 'y');
        CREATE TABLE "Odd, name" ("a ""b""" integer, "%s" text);
        CREATE TABLE base (a integer NOT NULL); CREATE TABLE child (b text) INHERITS (base);
        CREATE TABLE generated_only (id integer GENERATED ALWAYS AS IDENTITY);
        CREATE TABLE no_columns ();
       CREATE TABLE charge (id integer PRIMARY KEY, run integer);
       CREATE TABLE run (id integer PRIMARY KEY, charge integer NOT NULL REFERENCES charge);
       ALTER TABLE charge ADD FOREIGN KEY (run) REFERENCES run;
       CREATE TABLE ring (id integer PRIMARY KEY, next integer); CREATE TABLE ring_2 (id integer PRIMARY KEY, next integer);
       CREATE TABLE ring_3 (id integer PRIMARY KEY, next integer NOT NULL REFERENCES ring);
       ALTER TABLE ring ADD FOREIGN KEY (next) REFERENCES ring_2; ALTER TABLE ring_2 ADD FOREIGN KEY (next) REFERENCES ring_3;
    ''')
    notes = samples.fill(conn, {}).notes
    assert notes == []
    held = rows.rows(conn)
    assert {name for name, table in held.items() if table.count < 2} == set()
    assert all(name in held for name in ('public."Odd, name"', "public.log", "public.child", "public.no_columns"))
    assert "public.log_2030" not in held


def test_table_that_can_not_be_filled_is_said_with_the_server_s_reason(proved) -> None:
    files: Files = {
        "0002_strict": (
            (
                "CREATE TABLE never (a integer PRIMARY KEY CHECK (a < a)); CREATE TABLE child (a integer NOT NULL);"
                "CREATE TABLE below (a integer NOT NULL REFERENCES never);"
                "CREATE TABLE self (id integer PRIMARY KEY REFERENCES self (id));"
                "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'not by hand'; END $$;"
                "CREATE TRIGGER no BEFORE INSERT ON child FOR EACH ROW EXECUTE FUNCTION no();"
            ),
            "DROP TABLE child, below, never, self; DROP FUNCTION no();",
        ),
        "0003_next": ("SELECT 1;", "SELECT 1;"),
    }
    proofs = proved(files)
    assert classes(proofs) == {}
    notes = "\n".join(proofs["0002_strict"].notes + proofs["0003_next"].notes)
    assert "no sample rows in public.child: not by hand" in notes
    assert notes.count("no sample rows in public.never") == 1
    assert "no sample rows in public.below: public.never, which it references, has none" in notes
    assert "no sample rows in public.self" in notes


def test_rows_of_big_tables_are_compared_too(conn: psycopg.Connection) -> None:
    conn.execute(
        "CREATE TABLE big (id integer, note text); INSERT INTO big SELECT n, 'x' FROM generate_series(1, 5000) n"
    )
    before = rows.rows(conn)
    assert rows.difference(before, rows.rows(conn)) == []
    conn.execute("UPDATE big SET note = 'y' WHERE id = 4321")
    assert rows.difference(before, rows.rows(conn)) == ["rows: public.big: changed (5000 before, 5000 after)"]


def test_number_that_is_only_written_otherwise_has_changed(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE price (id integer PRIMARY KEY, price numeric); INSERT INTO price VALUES (1, 1.50)")
    before = rows.rows(conn)
    conn.execute("UPDATE price SET price = 1.5")
    assert rows.difference(before, rows.rows(conn)) == ["rows: public.price.price: 1 of 1 rows changed"]


# --- The command. ---


def test_command_says_one_line_each_and_a_summary(run_here, write, server_conninfo: str) -> None:
    files: Files = {
        "0002_pet": ("CREATE TABLE pet (id integer);", "SELECT 1;"),
        "0003_final": ("DROP TABLE person;", "-- irreversible: nobody remembers them\n"),
    }
    folder = write(files)
    result = run_here("prove", "--migrations", folder, "--scratch", server_conninfo)
    lines = result.out.splitlines()
    assert result.code == 1, result
    assert lines[0].startswith("proved 0001_person (")
    assert lines[0].endswith("; lossy: everybody is gone")
    assert lines[1].startswith("failed 0002_pet (")
    assert lines[1].endswith(": differs; re-apply fails")
    assert lines[2] == "    table public.pet: added"
    assert lines[-2].startswith("irreversible 0003_final (")
    assert lines[-1] == "1 proved (1 lossy with a reason); 1 irreversible with a reason; 1 failed: 1 differs."
    assert run_here("prove", "--migrations", folder, "--scratch", server_conninfo, "1", "3").code == 0


def test_command_gives_json_for_a_program(run_here, write, server_conninfo: str) -> None:
    folder = write({"0002_pet": ("CREATE TABLE pet (id integer);", "SELECT 1;")})
    result = run_here("prove", "--migrations", folder, "--scratch", server_conninfo, "--format", "json")
    content = json.loads(result.out)
    assert result.code == 1
    assert content["failed"] == {"rollback-differs": 1}
    assert [(row["id"], row["state"], row["class"]) for row in content["migrations"]] == [
        ("0001_person", "proved", None), ("0002_pet", "failed", "rollback-differs"),
    ]  # fmt: skip


def test_command_needs_no_server_to_name_what_it_does_not_know(run_here, write) -> None:
    folder = write({})
    away = "postgresql://x:1/"
    result = run_here("prove", "2", "--migrations", folder, "--scratch", away, env={"DATABASE_URL": away})
    assert (result.code, result.out) == (2, "")
    assert 'no migration "2"' in result.err


def test_killed_prove_leaves_databases_that_the_next_one_sweeps(write, server_conninfo: str, owner: Owner) -> None:
    folder = write({"0002_slow": ("SELECT pg_sleep(60);", "SELECT 1;")})
    command = [sys.executable, "-m", "pgyoyo", "prove", "--migrations", folder, "--scratch", owner.conninfo]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=dict(os.environ)) as process:
        assert process.stdout.readline().startswith(b"proved 0001_person")
        left = owner.databases()
        process.send_signal(signal.SIGKILL)
    assert left, "the test has nothing to look for"
    deadline = time.monotonic() + 20
    while owner.databases() and time.monotonic() < deadline:
        with databases.server(server_conninfo):
            time.sleep(0.1)
    assert owner.databases() == set()


def test_prove_leaves_no_database_behind(proved, server_conninfo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    database = databases.database

    @contextmanager
    def noted(*args, **options) -> Iterator[str]:
        with database(*args, **options) as conninfo:
            made.append(conninfo_to_dict(conninfo)["dbname"])
            yield conninfo

    monkeypatch.setattr(databases, "database", noted)
    proved(
        {"0002_pet": ("CREATE TABLE pet (id integer);", "SELECT 1;"), "0003_next": ("SELECT 1;", "SELECT 1;")},
        chain=True,
    )
    with psycopg.connect(server_conninfo, autocommit=True) as admin:
        assert len(made) >= 4, "base, working copy, a fresh one for the failure, another working copy"
        query = "SELECT datname FROM pg_database WHERE datname = ANY(%s)"
        assert admin.execute(query, [made]).fetchall() == []
