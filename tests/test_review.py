"""A review from end to end: which migrations it is about, what it sees of them, and what is left of it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgyoyo import catalog, message, migration, observation, scratch
from pgyoyo.errors import MigrationError, UsageError
from pgyoyo.migration import Folders
from pgyoyo.report import Report
from pgyoyo.review import Chain, review
from pgyoyo.sheet import Review, Seen, Sheet

SQL = Path(__file__).parents[1] / "sql"
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
Files = dict[str, tuple[str, str | None]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Files], Folders]:
    """Writes migrations, up and down, into the folder sql, and reads it."""

    def write(files: Files) -> Folders:
        folder = tmp_path / "sql"
        folder.mkdir(exist_ok=True)
        for name, (up, down) in files.items():
            (folder / f"{name}.sql").write_text(up)
            if down is not None:
                (folder / f"{name}.rollback.sql").write_text(down)
        return migration.read([str(folder)])

    return write


@pytest.fixture
def reviewed(write, server_conninfo: str) -> Callable[..., Review]:
    """Reviews migrations, all of them or those at the places given."""

    def reviewed(files: Files, places: list[int] | None = None, data: str = "", **options) -> Review:
        order = write(files).migrations
        rows = None
        if data:
            path = order[0].apply.path.parents[1] / "data.sql"
            path.write_text(data)
            rows = migration.read_one(path).apply
        with scratch.server(server_conninfo) as admin:
            chain = Chain(order, range(len(order)) if places is None else places)
            return review(admin, chain, Report(quiet=True), data=rows, **options)

    return reviewed


def rules(sheet: Sheet) -> set[str]:
    return {finding.rule for finding in sheet.findings}


def untimed(found: Review) -> Review:
    """The review without what is measured."""

    def statement(seen: Seen) -> Seen:
        return replace(seen, work=replace(seen.work, duration=None, wal=None))

    sheets = (replace(one, statements=tuple(map(statement, one.statements))) for one in found.sheets)
    return replace(found, sheets=tuple(sheets))


# --- What is seen ---


def test_lock_of_an_alter_is_seen_to_be_held_while_its_update_runs(reviewed) -> None:
    [sheet] = reviewed({"0001_person": PEOPLE, "0002_age": MODEL}, [1]).sheets
    alter, update = sheet.statements
    [lock] = [lock for lock in alter.taken if lock.mode == "ACCESS EXCLUSIVE"]
    assert (lock.relation.name, lock.relation.existed, lock.taken, lock.until) == ("public.person", True, 1, 2)
    assert update.held == (lock,)
    assert [(one.mode, one.relation.name) for one in update.takes if one.relation.kind == "table"] == [
        ("ROW EXCLUSIVE", "public.person")
    ]
    assert [one.name for one in update.work.scanned] == ["public.person"], "also of an empty table"
    assert {"lock-held-while-working", "update-not-batched"} <= rules(sheet)
    assert sheet.worst == "error"
    assert [(change.kind, change.identity) for change in alter.changes] == [("column", "public.person.age")]
    assert update.changes == ()


def test_what_a_statement_takes_is_seen_though_an_earlier_one_holds_it(reviewed) -> None:
    files = {"0001_person": PEOPLE, "0002_two": ("ALTER TABLE person ADD a int;\nALTER TABLE person ADD b int;", None)}
    [sheet] = reviewed(files, [1]).sheets
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
    found = reviewed({"0001_person": PEOPLE, "0002_age": MODEL}, data=data)
    assert found.data
    assert "before 0002_age" in found.data, "its table is not there before"
    assert [str(rows) for rows in found.sheets[1].statements[1].work.rows] == ["500 updated in public.person"]


def test_data_that_fails_is_told_with_the_servers_words(reviewed) -> None:
    with pytest.raises(UsageError, match=r"data\.sql can't be loaded before 0002_age:\nERROR: null value in column"):
        reviewed({"0001_person": PEOPLE, "0002_age": MODEL}, data="INSERT INTO person VALUES (1, NULL);")


def test_data_that_never_fits_is_told(reviewed) -> None:
    found = reviewed({"0001_person": PEOPLE}, data="INSERT INTO pet VALUES (1);")
    assert found.data is None
    assert 'was never loaded: relation "pet" does not exist' in found.notes[0]


def test_locks_of_concurrently_are_seen_from_a_second_session(reviewed) -> None:
    up = "-- transactional: false\nCREATE INDEX CONCURRENTLY person_born_idx ON person (born);\nVACUUM person;"
    files = {
        "0001_person": PEOPLE,
        "0002_index": (up, "-- transactional: false\nDROP INDEX CONCURRENTLY person_born_idx;"),
    }
    [sheet] = reviewed(files, [1]).sheets
    seen = [[lock.mode for lock in one.taken if lock.relation.kind == "table"] for one in sheet.statements]
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
    found = reviewed(files)
    typo, needs_it, alone = found.sheets[1:]
    assert [one.state for one in typo.statements] == ["ran", "failed", "not reached"]
    [finding] = [one for one in typo.findings if one.rule == "statement-fails"]
    assert finding.line == 2
    assert 'relation "persn" does not exist' in finding.happens
    assert typo.undo.word == "not proved"
    assert [one.state for one in needs_it.statements] == ["not reached"]
    assert needs_it.notes == ("not rehearsed: it depends on 0002_typo, which failed",)
    assert (alone.worst, alone.undo.word) == (None, "proved")


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
    assert {one.state for one in sheet.statements} <= {"ran", "failed", "not reached"}


def test_deferred_constraint_that_fails_at_the_commit_is_an_error_of_the_last_statement(reviewed) -> None:
    up = (
        "CREATE TABLE a (id int PRIMARY KEY, b int REFERENCES a DEFERRABLE INITIALLY DEFERRED);\n"
        "INSERT INTO a VALUES (1, 2);"
    )
    [sheet] = reviewed({"0001_a": (up, None)}).sheets
    assert [one.state for one in sheet.statements] == ["ran", "failed"]
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
    assert left.undo.word == "failed"
    assert {"rollback-differs", "lossy-without-reason"} <= rules(lossy)
    assert "irreversible-without-reason" in rules(none)
    assert (meant.undo.word, meant.undo.lines) == ("irreversible", ("socks never come back",))


def test_role_is_rehearsed_and_gone_afterwards(reviewed, server_conninfo: str) -> None:
    up = "CREATE ROLE pgyoyo_reviewed;\nCREATE TABLE t (a int);\nGRANT SELECT ON t TO pgyoyo_reviewed;"
    for _ in range(2):
        found = reviewed({"0001_role": (up, "-- lossy: t\nDROP TABLE t;\nDROP ROLE pgyoyo_reviewed;")})
        assert [one.state for one in found.sheets[0].statements] == ["ran"] * 3
        assert found.worst is None
        assert any("no rollback was proved" in note and "0001_role.sql:1: CREATE ROLE" in note for note in found.notes)
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
    assert fill.notes == ("rehearsed as one UPDATE; pgyoyo runs it in batches, each committed by itself",)
    assert [(one.rule, one.line) for one in add.findings] == [("defect", 2)]
    assert "can't run in batches" in add.findings[0].happens


def test_migrations_of_this_project_pass_their_own_review(server_conninfo: str) -> None:
    order = migration.read([str(SQL / "migrations")]).migrations
    data = migration.read_one(SQL / "sample_data.sql").apply
    with scratch.server(server_conninfo) as admin:
        found = review(admin, Chain(order, range(len(order))), Report(quiet=True), data=data)
    assert [one.id for one in found.sheets] == [one.id for one in order]
    assert {finding.severity for finding in found.findings} <= {"note"}
    assert {sheet.undo.word for sheet in found.sheets} == {"proved"}
    budget, backfill = found.sheets[3:]
    assert [lock.mode for lock in budget.statements[0].takes if lock.strong] == ["ACCESS EXCLUSIVE"]
    assert [str(rows) for rows in backfill.statements[0].work.rows] == ["2,700 updated in public.cj_batch_states"]


def test_two_runs_differ_only_in_what_is_measured(reviewed) -> None:
    files = {
        "0001_person": PEOPLE,
        "0002_age": MODEL,
        "0003_view": ("CREATE VIEW v AS SELECT name FROM person;", "DROP VIEW v;"),
    }
    assert untimed(reviewed(files)) == untimed(reviewed(files))


def test_earlier_migration_that_fails_stops_the_review(reviewed) -> None:
    with pytest.raises(MigrationError, match=r"0001_bad\.sql:1"):
        reviewed({"0001_bad": ("CREATE TABEL t (a int);", None), "0002_t": ("CREATE TABLE t (a int);", None)}, [1])


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
                (catalog, "snapshot"),
                (message, "send"),
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
        "snapshot": 0,
    }


# --- What is left ---


def scratches(conninfo: str) -> list[str]:
    with psycopg.connect(conninfo) as conn:
        names = conn.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", [scratch.PREFIX])
        return [name for (name,) in names]


def test_killed_review_leaves_nothing_behind_the_next_one(write, tmp_path: Path, server_conninfo: str, run) -> None:
    write({"0001_slow": ("CREATE TABLE t (a int);\nSELECT pg_sleep(60);", None)})
    url = make_conninfo(server_conninfo, dbname="postgres")
    command = [sys.executable, "-m", "pgyoyo", "review", "--scratch", url, "--migrations", "sql"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DATABASE_URL"))}
    before = set(scratches(url))
    with subprocess.Popen(
        command, cwd=tmp_path, env=clean, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 30
        while not set(scratches(url)) - before:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    mine = set(scratches(url)) - before
    assert mine
    write({"0001_slow": ("CREATE TABLE t (a int);", "-- lossy: all\nDROP TABLE t;")})
    deadline = time.monotonic() + 30
    while mine & set(scratches(url)):
        # The server notices within seconds that its client is gone, and the session's lock with it.
        result = run("review", "--scratch", url, "--migrations", "sql", "--quiet")
        assert result.code == 0, result.err
        assert time.monotonic() < deadline
