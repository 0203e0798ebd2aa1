"""A review from end to end: which migrations it is about, what it sees of them, and what is left of it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import staging
from conftest import Owner, Result
from pgyoyo.catalog import changed
from pgyoyo.console import Console
from pgyoyo.engine import connection, wire
from pgyoyo.errors import MigrationError, UsageError
from pgyoyo.migrations import reader
from pgyoyo.migrations.migration import Folders, Migration
from pgyoyo.prove.parallel import Proving
from pgyoyo.prove.prover import prove
from pgyoyo.review import observation
from pgyoyo.review.render import dispatch
from pgyoyo.review.review import Chain, _Rehearsals, review
from pgyoyo.review.rulebook import rulebook
from pgyoyo.review.sheet import Review, Sheet, verdict
from pgyoyo.scratch import databases
from staging import Files

SQL = Path(__file__).parents[2] / "sql"
PEOPLE = (
    "CREATE TABLE person (id integer PRIMARY KEY, name text NOT NULL, born date);",
    "-- lossy: everybody is gone\nDROP TABLE person;",
)
# The case that a review is for: readers wait for the UPDATE, because the ALTER's lock is held until the end.
MODEL = (
    (
        "ALTER TABLE person ADD COLUMN age integer;\n"
        "UPDATE person SET age = extract(year FROM age(born)) WHERE age IS NULL;"
    ),
    "-- lossy: ages\nALTER TABLE person DROP COLUMN age;",
)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Files], Folders]:
    """Writes migrations, up and down, into the folder sql, and reads it."""

    def write(files: Files) -> Folders:
        staging.write(tmp_path / "sql", files)
        return reader.read([str(tmp_path / "sql")])

    return write


@pytest.fixture
def reviewed(write, admin: psycopg.Connection) -> Callable[..., Review]:
    """Reviews migrations, all of them or those at the places given."""

    def reviewed(files: Files, places: list[int] | None = None, data: str = "", **options) -> Review:
        order = write(files).migrations
        rows = None
        if data:
            path = order[0].apply.path.parents[2] / "data.sql"
            path.write_text(data)
            rows = reader.read_one(path).apply
        chain = Chain(order, range(len(order)) if places is None else places)
        return review(admin, chain, Console(quiet=True), data=rows, **options)

    return reviewed


def rules(sheet: Sheet) -> set[str]:
    return {finding.rule for finding in sheet.findings}


# --- What is seen ---


def test_lock_of_an_alter_is_seen_to_be_held_while_its_update_runs(reviewed) -> None:
    [sheet] = reviewed({"0001_person": PEOPLE, "0002_age": MODEL}, [1]).sheets
    alter, update = sheet.statements
    [lock] = [lock for lock in alter.taken if lock.mode == "ACCESS EXCLUSIVE"]
    assert (lock.relation.name, lock.relation.existed, lock.taken, lock.until) == ("public.person", True, 1, 2)
    assert update.held == (lock,)
    assert [(lock.mode, lock.relation.name) for lock in update.takes if lock.relation.kind == "table"] == [
        ("ROW EXCLUSIVE", "public.person")
    ]
    assert [table.name for table in update.work.scanned] == ["public.person"], "also of an empty table"
    assert {"lock-held-while-working", "update-not-batched"} <= rules(sheet)
    assert sheet.worst == "error"
    assert [(change.kind, change.identity) for change in alter.changes] == [("column", "public.person.age")]
    assert update.changes == ()


def test_what_a_statement_takes_is_seen_though_an_earlier_one_holds_it(reviewed) -> None:
    again = "ALTER TABLE person ALTER name SET NOT NULL;"  # as it is: nothing is scanned
    files = {
        "0001_person": PEOPLE,
        "0002_two": (f"ALTER TABLE person ADD a int;\nALTER TABLE person ADD b int;\n{again}", None),
    }
    [sheet] = reviewed(files, [1]).sheets
    assert "squawk:adding-not-nullable-field" not in rules(sheet)
    second = sheet.statements[1]
    assert not [lock for lock in second.taken if lock.relation.kind == "table"]
    assert [lock.mode for lock in second.alone or () if lock.relation.kind == "table"] == ["ACCESS EXCLUSIVE"]


def test_lock_on_a_table_made_in_the_migration_harms_nobody(reviewed) -> None:
    files = {
        "0001_all": (
            "CREATE TABLE t (a int);\nCREATE INDEX ON t (a);\nALTER TABLE t ALTER a SET NOT NULL;",
            "DROP TABLE t;",
        )
    }
    [sheet] = reviewed(files).sheets
    assert not any(lock.strong for lock in sheet.locks)
    assert sheet.worst is None


def test_rows_are_counted_with_the_data_of_a_file(reviewed) -> None:
    data = "INSERT INTO person SELECT n, 'name ' || n, '2000-01-01' FROM generate_series(1, 500) AS n;"
    result = reviewed({"0001_person": PEOPLE, "0002_age": MODEL}, data=data)
    assert result.data
    assert "before 0002_age" in result.data, "its table is not there before"
    assert [str(rows) for rows in result.sheets[1].statements[1].work.rows] == ["500 updated in public.person"]


def test_data_that_fails_is_told_with_the_servers_words(reviewed) -> None:
    with pytest.raises(UsageError, match=r"data\.sql can't be loaded before 0002_age:\nERROR: null value in column"):
        reviewed({"0001_person": PEOPLE, "0002_age": MODEL}, data="INSERT INTO person VALUES (1, NULL);")


def test_data_that_never_fits_is_told(reviewed) -> None:
    result = reviewed({"0001_person": PEOPLE}, data="INSERT INTO pet VALUES (1);")
    assert result.data is None
    assert 'was never loaded: relation "pet" does not exist' in result.notes[0]


def test_locks_of_concurrently_are_seen_from_a_second_session(reviewed) -> None:
    up = "-- transactional: false\nCREATE INDEX CONCURRENTLY person_born_idx ON person (born);\nVACUUM person;"
    files = {
        "0001_person": PEOPLE,
        "0002_index": (up, "-- transactional: false\nDROP INDEX CONCURRENTLY person_born_idx;"),
    }
    [sheet] = reviewed(files, [1]).sheets
    seen = [[lock.mode for lock in statement.taken if lock.relation.kind == "table"] for statement in sheet.statements]
    assert seen == [["SHARE UPDATE EXCLUSIVE"], ["SHARE UPDATE EXCLUSIVE"]]
    assert sheet.worst is None


def test_error_stands_at_its_statement_and_the_rest_is_not_reached(reviewed) -> None:
    files = {
        "0001_person": PEOPLE,
        "0002_typo": (
            "ALTER TABLE person ADD a int;\nALTER TABLE persn ADD b int;\nALTER TABLE person ADD c int;",
            None,
        ),
        "0003_needs_it": ("-- depends: 0002_typo\nALTER TABLE person DROP a;", None),
        "0004_alone": ("CREATE TABLE pet (id int);", "-- lossy: pets\nDROP TABLE pet;"),
    }
    result = reviewed(files)
    typo, needs_it, alone = result.sheets[1:]
    assert [statement.state for statement in typo.statements] == ["ran", "failed", "not reached"]
    [finding] = [finding for finding in typo.findings if finding.rule == "statement-fails"]
    assert finding.line == 2
    assert 'relation "persn" does not exist' in finding.happens
    assert typo.rollback.state == "not proved"
    assert [statement.state for statement in needs_it.statements] == ["not reached"]
    assert needs_it.notes == ("not rehearsed: it depends on 0002_typo, which failed",)
    assert (alone.worst, alone.rollback.state) == (None, "proved")


@pytest.mark.parametrize(
    ("sql", "what"),
    [
        ("CREATE TABLE t (a int);\nSELECT 'open", "unterminated quoted string"),
        ("CREATE TABLE t (a int);\nCREATE TABEL u (a int);", "syntax error"),
        ("CREATE TABLE t (a int);\nCOMMIT;\nSELECT 1;", "COMMIT inside the file"),
    ],
)
def test_sheet_comes_for_sql_that_can_not_run(reviewed, sql: str, what: str) -> None:
    [sheet] = reviewed({"0001_bad": (sql, None)}).sheets
    assert sheet.worst == "error"
    assert any(what in finding.happens and finding.line == 2 for finding in sheet.findings)
    assert {statement.state for statement in sheet.statements} <= {"ran", "failed", "not reached"}


def test_deferred_constraint_that_fails_at_the_commit_is_an_error_of_the_last_statement(reviewed) -> None:
    up = (
        "CREATE TABLE a (id int PRIMARY KEY, b int REFERENCES a DEFERRABLE INITIALLY DEFERRED);\n"
        "INSERT INTO a VALUES (1, 2);"
    )
    [sheet] = reviewed({"0001_a": (up, None)}).sheets
    assert [statement.state for statement in sheet.statements] == ["ran", "failed"]
    assert "violates foreign key constraint" in (sheet.statements[1].error or "")


def test_rollback_is_part_of_the_sheet(reviewed) -> None:
    files: Files = {
        "0001_person": PEOPLE,
        "0002_left": ("CREATE TABLE pet (id int);\nCREATE TABLE toy (id int);", "DROP TABLE pet;"),
        "0003_lossy": ("ALTER TABLE person ADD shoe int;", "ALTER TABLE person DROP shoe, DROP born;"),
        "0004_none": ("CREATE TABLE sock (id int);", None),
        "0005_meant": ("DROP TABLE sock;", "-- irreversible: socks never come back"),
    }
    left, lossy, none, meant = reviewed(files, [1, 2, 3, 4]).sheets
    assert "rollback-differs" in rules(left)
    assert left.rollback.state == "failed", "it can't be applied again"
    assert {"rollback-differs", "lossy-without-reason"} <= rules(lossy)
    assert lossy.rollback.state == "differs"
    assert rules(none) == {"irreversible-without-reason"}
    assert (none.rollback.state, none.worst) == ("missing", "paperwork")
    assert (meant.rollback.state, meant.rollback.lines) == ("irreversible", ("socks never come back",))


def test_finding_of_a_proof_about_the_migrations_own_file_is_suppressed_there(reviewed) -> None:
    today = "DO $$ BEGIN EXECUTE format('CREATE TABLE %I (a int)', 't' || to_char(now(), 'YYYYMMDD')); END $$;"
    undo = "DO $$ BEGIN EXECUTE format('DROP TABLE %I', 't' || to_char(now(), 'YYYYMMDD')); END $$;"
    for head, allowed in (("", None), ("-- review: allow not-repeatable: one table a day\n", "one table a day")):
        [sheet] = reviewed({"0001_daily": (head + today, f"-- lossy: rows\n{undo}")}).sheets
        assert [(finding.rule, finding.allowed) for finding in sheet.findings] == [("not-repeatable", allowed)]


def test_failed_statement_of_a_rollback_has_its_line(reviewed) -> None:
    files: Files = {"0001_pet": ("CREATE TABLE pet (a int);", "-- lossy: pets\n\nDROP TABLE pet;\nDROP TABLE pets;")}
    [sheet] = reviewed(files).sheets
    [finding] = sheet.findings
    assert (finding.rule, finding.path, finding.line) == ("rollback-fails", sheet.rollback.path, 4)


def test_rollback_that_fails_only_once_there_are_rows_is_the_rollbacks_failure(reviewed) -> None:
    files: Files = {
        "0001_person": PEOPLE,
        "0002_born": (
            "ALTER TABLE person DROP COLUMN born;",
            "-- lossy: dates\nALTER TABLE person ADD born date NOT NULL;",
        ),
    }
    sheet = reviewed(files).sheets[-1]
    [finding] = [finding for finding in sheet.findings if finding.path == sheet.rollback.path]
    assert (finding.rule, finding.line, sheet.rollback.state) == ("rollback-fails", 2, "failed")
    assert "statement-fails" not in {finding.rule for finding in sheet.findings}


def test_role_is_made_on_a_server_that_was_given_for_it_only_and_gone_afterwards(
    reviewed, server_conninfo: str
) -> None:
    up = "CREATE ROLE pgyoyo_reviewed;\nCREATE TABLE t (a int);\nGRANT SELECT ON t TO pgyoyo_reviewed;"
    files: Files = {"0001_person": PEOPLE, "0002_role": (up, "-- lossy: t\nDROP TABLE t;\nDROP ROLE pgyoyo_reviewed;")}
    with pytest.raises(UsageError, match=r"0002_role\.sql:1: CREATE ROLE(?s:.)*all databases of a server share"):
        reviewed(files, alone=False)
    for _ in range(2):
        result = reviewed(files)
        assert [statement.state for statement in result.sheets[1].statements] == ["ran"] * 3
        assert [sheet.rollback.state for sheet in result.sheets] == ["proved", "not proved"]
        assert result.notes == (
            "no rollback was tried from 0002_role on: it changes what all databases of the server share",
        )
        with psycopg.connect(server_conninfo) as conn:
            assert conn.execute("SELECT FROM pg_roles WHERE rolname = 'pgyoyo_reviewed'").fetchone() is None


def test_sheet_of_a_backfill_says_how_it_will_run_or_why_it_can_not(reviewed) -> None:
    head = "-- backfill: batched\n"
    files = {
        "0001_person": PEOPLE,
        "0002_fill": (f"{head}UPDATE person SET born = '2000-01-01' WHERE born IS NULL;", "-- irreversible: dates"),
        "0003_add": (f"{head}UPDATE person SET id = id + 1;", "-- irreversible: numbers"),
    }
    fill, add = reviewed(files, [1, 2]).sheets
    assert fill.worst is None
    assert fill.batched
    assert [(finding.rule, finding.line) for finding in add.findings] == [("defect", 2)]
    assert "can't run in batches" in add.findings[0].happens


def test_table_of_an_earlier_migration_of_the_same_release_harms_nobody(
    admin: psycopg.Connection, write: Callable[[Files], Folders]
) -> None:
    files: Files = {
        "0001_old": (
            "CREATE TABLE old (id int, n int); CREATE PUBLICATION zoo FOR TABLE old;", "-- irreversible: tables",
        ),
        "0002_new": (
            "CREATE TABLE new (id int, n int); CREATE SEQUENCE s; ALTER PUBLICATION zoo ADD TABLE new;",
            "-- irreversible: tables",
        ),
        "0003_renamed": ("ALTER TABLE new RENAME TO newer;", "-- irreversible: names"),
        "0004_index": (
            (
                "CREATE INDEX newer_n_idx ON newer (n);\nALTER TABLE newer DROP id;\nCREATE INDEX old_n_idx ON old (n);\n"
                "SELECT setval('s', 7);\nALTER PUBLICATION zoo SET TABLE old;"
            ),
            "-- irreversible: columns",
        ),
    }  # fmt: skip
    order = write(files).migrations
    for release, lines in ((True, [3]), (False, [1, 2, 3, 4, 5])):
        result = review(admin, Chain(order, [1, 2, 3], release=release), Console(quiet=True))
        *_, last = result.sheets
        loud = {finding.line for finding in last.findings if finding.severity in ("error", "warning")}
        assert sorted(loud) == lines


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("CREATE TABLE t (); GRANT SELECT ON t TO only_production_has_it", "with --scratch URL, or create it"),
        ("CREATE TABLE t (a only_production_has_it)", "made outside of the migrations"),
        ("SELECT only_production_has_it()", "made outside of the migrations"),
        ("SELECT current_setting('app.only_production_has_it')", "which is NULL where it is not set"),
    ],
)
def test_what_only_the_target_has_is_named_with_the_ways_out(reviewed, admin, write, sql: str, words: str) -> None:
    files: Files = {"0001_x": (f"{sql};", "-- irreversible: nothing")}
    [sheet] = reviewed(files).sheets
    assert words in sheet.findings[0].happens
    [proof] = prove(admin, write(files), Console(quiet=True))
    assert words in proof.findings["statement-fails"][-1]


def test_what_no_rollback_can_undo_is_said_with_the_words_to_write(reviewed) -> None:
    files: Files = {
        "0001_mood": ("CREATE TYPE mood AS ENUM ('calm');", "-- irreversible: types"),
        "0002_angry": ("ALTER TYPE mood ADD VALUE 'angry';", None),
    }
    _, sheet = reviewed(files).sheets
    [finding] = [each for each in sheet.findings if each.severity != "note"]
    assert (finding.rule, finding.severity) == ("irreversible-without-reason", "paperwork")
    assert "0002_angry.rollback.sql with this line: -- irreversible: PostgreSQL can't remove" in finding.happens
    assert verdict(sheet.worst) == "FINE TO RUN; its rollback needs a reason"


def test_review_refuses_the_backfills_that_apply_refuses(reviewed) -> None:
    head, way = "-- backfill: batched\n", "-- irreversible: values"
    tables = (
        "CREATE TABLE t (id int PRIMARY KEY, code text UNIQUE, n int, m int);\nCREATE VIEW v AS SELECT * FROM t;\n"
        "CREATE TABLE r (n int);\nCREATE RULE quiet AS ON UPDATE TO r WHERE NEW.n = 0 DO INSTEAD NOTHING;\n"
        "CREATE TABLE g (n int, m int);\nINSERT INTO g VALUES (NULL, 1);\n"
        "CREATE FUNCTION also() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.m := 2; RETURN NEW; END $$;\n"
        "CREATE TRIGGER also BEFORE UPDATE ON g FOR EACH ROW EXECUTE FUNCTION also();"
    )
    files = {
        "0001_t": (tables, "-- irreversible: tables"),
        "0002_unique": (f"{head}UPDATE t SET code = n::text WHERE code IS NULL;", way),
        "0003_view": (f"{head}UPDATE v SET n = 1 WHERE n IS NULL;", way),
        "0004_rule": (f"{head}UPDATE r SET n = 1 WHERE n IS NULL;", way),
        "0005_trigger": (f"{head}UPDATE g SET n = 1 WHERE n IS NULL;", way),
        "0006_fine": (f"{head}UPDATE t SET n = 1 WHERE n IS NULL;", way),
    }
    *refused, fine = reviewed(files, [1, 2, 3, 4, 5]).sheets
    reasons = [[each.happens for each in sheet.findings if each.rule == "defect"] for sheet in refused]
    for reason, words in zip(
        reasons,
        (
            "it sets code, which identifies the rows of t",
            "v is a view",
            "the rule quiet on r rewrites",
            "also changes column m",
        ),
        strict=True,
    ):
        assert len(reason) == 1
        assert words in reason[0].replace("public.", "")
    assert fine.worst is None


def test_migrations_of_this_project_pass_their_own_review(admin: psycopg.Connection) -> None:
    order = reader.read([str(SQL / "migrations")]).migrations
    data = reader.read_one(SQL / "sample_data.sql").apply
    result = review(admin, Chain(order, range(len(order))), Console(quiet=True), data=data)
    assert [sheet.id for sheet in result.sheets] == [migration.id for migration in order]
    assert {finding.severity for finding in result.findings} <= {"note"}
    assert {sheet.rollback.state for sheet in result.sheets} == {"proved"}
    budget, backfill = result.sheets[3:]
    assert [lock.mode for lock in budget.statements[0].takes if lock.strong] == ["ACCESS EXCLUSIVE"]
    assert [str(rows) for rows in backfill.statements[0].work.rows] == ["2,700 updated in public.cj_batch_states"]


def test_rehearsal_that_is_broken_off_holds_nothing_that_a_proof_may_wait_for(
    write, admin: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    holding: list[psycopg.Connection] = []
    at_the_end: list[bool] = []

    def add(rehearsals: _Rehearsals, migration: Migration) -> None:
        holding.append(rehearsals.stage.copy.conn)
        holding[0].execute("BEGIN; SELECT 1")
        raise UsageError(migration.id)

    def leave(proving: Proving, *error) -> None:
        at_the_end.append(holding[0].closed)
        waits(proving, *error)

    waits = Proving.__exit__
    monkeypatch.setattr(_Rehearsals, "add", add)
    monkeypatch.setattr(Proving, "__exit__", leave)
    folders = write({"0001_a": ("CREATE TABLE a (id integer);", "DROP TABLE a;")})
    with pytest.raises(UsageError, match="0001_a"):
        review(admin, Chain(folders.migrations, [0]), Console(quiet=True))
    assert at_the_end == [True]


def test_earlier_migration_that_fails_stops_the_review(reviewed) -> None:
    with pytest.raises(MigrationError, match=r"0001_bad\.sql:1"):
        reviewed({"0001_bad": ("CREATE TABEL t (a int);", None), "0002_t": ("CREATE TABLE t (a int);", None)}, [1])


@pytest.mark.parametrize("place", [0, 1])
def test_one_migration_takes_three_databases_and_seven_sessions(
    place: int, reviewed, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, connect, create = [], connection.connect, databases.create
    monkeypatch.setattr(
        connection, "connect", lambda conninfo, **more: made.append("session") or connect(conninfo, **more)
    )
    monkeypatch.setattr(databases, "create", lambda *args: made.append("database") or create(*args))
    age = ("ALTER TABLE person ADD COLUMN age integer;", "-- lossy: ages\nALTER TABLE person DROP COLUMN age;")
    [sheet] = reviewed({"0001_person": PEOPLE, "0002_age": age}, [place]).sheets
    assert (made.count("database"), made.count("session")) == (3, 7)
    assert sheet.rollback
    assert sheet.rollback.state == "proved"


def test_cost_of_a_statement_is_the_same_however_many_there_are(reviewed, monkeypatch: pytest.MonkeyPatch) -> None:
    def counts(number: int) -> dict[str, int]:
        calls: dict[str, int] = {}

        def counted(module, name: str) -> None:
            called = getattr(module, name)

            def call(*args, **kwargs):
                calls[name] = calls.get(name, 0) + 1
                return called(*args, **kwargs)

            patch.setattr(module, name, call)

        with monkeypatch.context() as patch:
            for module, name in (
                (observation, "state"),
                (observation, "relations"),
                (changed.SnapshotReader, "read"),
                (wire, "send"),
            ):
                counted(module, name)
            rows = "\n".join(f"INSERT INTO person VALUES ({n}, 'n', NULL);" for n in range(number))
            reviewed({"0001_person": PEOPLE, "0002_rows": (rows, "-- lossy: all\nTRUNCATE person;")}, [1])
        return calls

    few, many = counts(20), counts(40)
    assert {name: many[name] - few[name] for name in few} == {
        "state": 20 * 3,
        "send": 20 * 2,
        "relations": 0,
        "read": 0,
    }


# --- What is left ---


def test_killed_review_leaves_nothing_behind_the_next_one(
    write, tmp_path: Path, server_conninfo: str, run_here, owner: Owner
) -> None:
    write({"0001_slow": ("CREATE TABLE t (a int);\nSELECT pg_sleep(60);", None)})
    command = [sys.executable, "-m", "pgyoyo", "review", "--scratch", owner.conninfo, "--migrations", "sql"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DATABASE_URL"))}
    with subprocess.Popen(
        command, cwd=tmp_path, env=clean, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 30
        while not owner.databases():
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    write({"0001_slow": ("CREATE TABLE t (a int);", "-- lossy: all\nDROP TABLE t;")})
    deadline = time.monotonic() + 30
    while owner.databases():
        # The server notices within seconds that its client is gone, and the session's lock with it.
        result = run_here("review", "--scratch", server_conninfo, "--migrations", "sql", "--quiet")
        assert result.code == 0, result.err
        assert time.monotonic() < deadline


# --- The command ---


@pytest.fixture
def command(write, server_conninfo: str, run_here) -> Callable[..., Result]:
    """Runs `pgyoyo review` in the folder above sql, its scratch databases on the tests' server."""
    scratch_server = make_conninfo(server_conninfo, dbname="postgres")

    def command(*args: str) -> Result:
        return run_here("review", "--scratch", scratch_server, "--migrations", "sql", *args)

    return command


def ids(result: Result) -> list[str]:
    return [migration["id"] for migration in json.loads(result.out)["migrations"]]


FILES: Files = {"0001_person": PEOPLE, "0002_age": MODEL, "0003_view": ("CREATE VIEW v AS SELECT 1;", "DROP VIEW v;")}


def test_without_a_database_all_are_reviewed_and_with_ids_those(write, command) -> None:
    write(FILES)
    assert ids(command("--format", "json")) == ["0001_person", "0002_age", "0003_view"]
    assert ids(command("--format", "json", "3", "0001")) == ["0001_person", "0003_view"]


def test_pending_ones_of_a_database_are_reviewed_and_its_tables_measured(
    write, command, run_here, database: str
) -> None:
    write(FILES)
    options = ["--database", database]
    assert run_here("apply", "--migrations", "sql", "--to", "1", *options).code == 0
    with psycopg.connect(database, autocommit=True) as conn, psycopg.connect(database) as session:
        conn.execute("INSERT INTO person SELECT n, 'n', '2000-01-01' FROM generate_series(1, 1234) AS n")
        conn.execute("ANALYZE person")
        session.execute("SELECT count(*) FROM person")
        content = json.loads(command("--format", "json", *options).out)
    assert [migration["id"] for migration in content["migrations"]] == ["0002_age", "0003_view"]
    live = content["migrations"][0]["live"]["public.person"]
    assert (live["rows"], live["indexes"]) == (1234, 1)
    assert live["size"] > 0
    assert live["oldest_transaction"] > 0, "the session that reads it is seen"
    assert command(*options).out.count("1,234 rows") >= 1
    assert run_here("apply", "--migrations", "sql", *options).code == 0
    after = command(*options)
    assert (after.code, after.out.startswith("nothing to review: none is pending on database")) == (0, True)


def test_named_ones_that_are_pending_are_one_release(write, command, run_here, database: str) -> None:
    files: Files = {
        "0001_old": ("CREATE TABLE old (id int, n int);", "-- irreversible: tables"),
        "0002_new": ("CREATE TABLE new (id int, n int);", "-- irreversible: tables"),
        "0003_index": ("CREATE INDEX new_n_idx ON new (n);", "-- irreversible: indexes"),
    }
    write(files)
    options = ["--database", database]
    assert command("2", "3", *options).code == 1, "nothing is applied: any of them may be old"
    assert run_here("apply", "--migrations", "sql", "--to", "1", *options).code == 0
    assert command("2", "3", *options).code == 0
    assert command("3", *options).code == 0, "2 is pending, too, and ships with it"


def test_target_is_only_read(write, command, database: str) -> None:
    write(FILES)
    assert command("--database", database).code == 1
    with psycopg.connect(database) as conn:
        [[count]] = conn.execute("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").fetchall()
    assert count == 0, "not even a ledger"


def test_since_reviews_what_a_branch_changed(write, command, tmp_path: Path) -> None:
    def git(*words: str) -> None:
        own = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
        subprocess.run(["git", "-C", str(tmp_path), *own, *words], check=True, capture_output=True)

    write({"0001_person": PEOPLE})
    refused = command("--since", "main")
    assert refused.code == 2
    assert "not a git repository" in refused.err
    git("init")
    git("add", ".")
    git("commit", "-m", "person")
    assert command("--since", "main").out.startswith("nothing to review: no migration changed since main")
    git("checkout", "-b", "branch")
    write({"0002_age": MODEL})
    git("add", ".")
    git("commit", "-m", "age")
    write({"0003_view": FILES["0003_view"]})
    git("checkout", "main")
    write({"0001_person": ("CREATE TABLE person (id integer PRIMARY KEY, name text, born date);", PEOPLE[1])})
    git("commit", "-am", "main goes on")
    git("checkout", "branch")
    assert ids(command("--since", "main", "--format", "json")) == ["0002_age", "0003_view"]
    (tmp_path / "sql" / "0001_person.rollback.sql").write_text("-- lossy: all\nDROP TABLE person CASCADE;")
    assert ids(command("--since", "main", "--format", "json")) == ["0001_person", "0002_age", "0003_view"]
    unknown = command("--since", "nowhere")
    assert (unknown.code, 'git does not know "nowhere"' in unknown.err) == (2, True)


def test_exit_code_is_that_of_the_worst_finding(write, command) -> None:
    write(FILES)
    codes = {words: command(*words.split(), "--quiet").code for words in ("2", "2 --fail-on never", "3 --fail-on note")}
    assert codes == {"2": 1, "2 --fail-on never": 0, "3 --fail-on note": 0}


def test_sheets_without_timings_are_the_same_each_time(reviewed, tmp_path: Path) -> None:
    first, second = reviewed(FILES), reviewed(FILES)
    for layout in ("text", "markdown", "json", "sarif", "github", "html"):
        written = dispatch.render(first, layout, timings=False)
        assert written == dispatch.render(second, layout, timings=False)
        assert "lock-held-while-working" in written


def test_sheet_is_written_to_a_file(write, command, tmp_path: Path) -> None:
    write(FILES)
    result = command("2", "--format", "markdown", "--output", "sheet.md")
    assert (result.code, result.out) == (1, "wrote sheet.md: DO NOT RUN AS WRITTEN\n")
    assert "lock-held-while-working" in (tmp_path / "sheet.md").read_text()


def test_what_can_not_be_reviewed_is_said_before_anything_runs(write, command) -> None:
    write(FILES)
    for words, message in (
        (["--since", "main", "2"], "use either IDs or --since, not both"),
        (["7"], '"7"'),
        (["--data", "rows.sql"], "rows.sql does not exist"),
        (["--output", "reports/sheet.md"], "there is no folder reports"),
    ):
        result = command(*words)
        assert (result.code, message in result.err) == (2, True), result.err


def test_rules_are_listed(run_here) -> None:
    listed = run_here("review", "--rules").out.splitlines()
    assert len(listed) == len(rulebook())
    assert listed[0].startswith("lock-held-while-working ")
