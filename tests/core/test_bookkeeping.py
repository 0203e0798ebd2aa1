"""The ledger where files and history come apart: renamed files, files written late, rollbacks that need a word."""

import json
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import psycopg
import pytest

from pgyoyo.console import Console
from pgyoyo.engine.ledger import key_of
from pgyoyo.errors import UsageError
from pgyoyo.migrations import reader
from pgyoyo.migrations.migration import Migration
from pgyoyo.migrator import Migrator


@dataclass
class Project:
    folder: Path
    database: str
    conn: psycopg.Connection
    run_here: Callable

    def write(self, **texts: str) -> None:
        """Files by id, here with m for the leading digits' place: m1_a is 0001_a; a rollback ends in _back."""
        self.folder.mkdir(exist_ok=True)
        for name, text in texts.items():
            number, _, rest = name.removeprefix("m").partition("_")
            stem = f"{int(number):04}_{rest.removesuffix('_back')}"
            (self.folder / (stem + (".rollback.sql" if name.endswith("_back") else ".sql"))).write_text(text)

    def __call__(self, *words: str, code: int = 0) -> str:
        done = self.run_here(*words, "--database", self.database, "--migrations", self.folder)
        assert done.code == code, done.out + done.err
        return done.out + done.err

    @property
    def applied(self) -> list[str]:
        query = "SELECT migration_id FROM _yoyo_migration ORDER BY applied_at_utc"
        return [row[0] for row in self.conn.execute(query).fetchall()]

    def migrator(self, conn: psycopg.Connection) -> Migrator:
        return Migrator(conn, reader.read([str(self.folder)]), Console(quiet=True))


@pytest.fixture
def project(tmp_path: Path, database: str, conn: psycopg.Connection, run_here: Callable) -> Project:
    return Project(tmp_path / "sql", database, conn, run_here)


# --- Renamed files ---


def test_renamed_file_stops_the_run_and_the_command_it_names_renames_the_row(project: Project) -> None:
    project.write(m1_a="CREATE TABLE a ();", m2_b="CREATE TABLE b ();", m2_b_back="DROP TABLE b;")
    project("apply")
    (project.folder / "0002_b.sql").rename(project.folder / "0003_c.sql")
    (project.folder / "0002_b.rollback.sql").rename(project.folder / "0003_c.rollback.sql")
    shown = project("apply", code=4)
    assert "0003_c was applied as 0002_b, with the same content; it would run twice" in shown
    assert "  pgyoyo rename 0002_b 0003_c\n" in shown
    assert "pgyoyo rename 0002_b 0003_c" in project("status")
    assert "pgyoyo rename 0002_b 0003_c" in project("mark", "3", code=4)
    assert "renamed 0002_b to 0003_c in the ledger" in project("rename", "0002_b", "0003_c")
    assert project.applied == ["0001_a", "0003_c"]
    assert "nothing to do: 2 applied, none pending." in project("apply")
    ours = project.conn.execute("SELECT migration_id, migration_hash FROM _pgyoyo_migration ORDER BY 1").fetchall()
    assert (
        ours == project.conn.execute("SELECT migration_id, migration_hash FROM _yoyo_migration ORDER BY 1").fetchall()
    )
    log = "SELECT migration_id, comment FROM _yoyo_log WHERE operation = 'rename'"
    assert project.conn.execute(log).fetchall() == [("0003_c", "was 0002_b")]
    assert "rolled back 0003_c" in project("rollback")


@pytest.mark.parametrize(
    ("old", "new"),
    [("0001_Add_A", "0001_add_a"), (f"0001_{normalize('NFC', 'größe')}", f"0001_{normalize('NFD', 'größe')}"),
     ("0001_add_A", "0001_ADD_a")],
    ids=["case", "composition", "both cases"],
)  # fmt: skip
@pytest.mark.parametrize("edited", [False, True])
def test_name_that_differs_in_case_or_composition_only_is_the_same_migration(
    project: Project, old: str, new: str, edited: bool
) -> None:
    project.folder.mkdir()
    (project.folder / f"{old}.sql").write_text("CREATE TABLE a ();")
    project("apply")
    (project.folder / f"{old}.sql").unlink()
    (project.folder / f"{new}.sql").write_text("CREATE TABLE a ();" + edited * "\n-- A remark.")
    words = project("apply", code=4)
    assert "it would run twice" in words
    assert ("the two look alike" in words) == ("ö" in normalize("NFC", old))
    assert ("is not what was applied as" in project("rename", old, new)) == edited
    assert project.applied == [new]
    project("apply", code=4 if edited else 0)


def test_apply_names_the_file_that_was_probably_renamed_and_changed(project: Project) -> None:
    text = "CREATE TABLE grades (id bigint PRIMARY KEY, grade text NOT NULL, given timestamptz);"
    project.write(m1_a="CREATE TABLE a ();", m2_grades=text)
    project("apply")
    for path in project.folder.glob("0002*"):
        path.unlink()
    project.write(
        m3_index="CREATE INDEX ON a ((1));", m4_grades=text.replace("grade text", "points int") + "\n-- A remark.\n"
    )
    words = "0004_grades is nearly what was applied as 0002_grades, which has no file here"
    shown = project("apply", "--dry-run")
    assert words in shown
    assert "pgyoyo rename 0002_grades 0004_grades" in shown
    assert "0003_index is nearly" not in shown
    project("rename", "0002_grades", "0004_grades")
    project("repair", "0004_grades")
    assert words not in project("apply")
    assert project.applied == ["0001_a", "0004_grades", "0003_index"]


def test_files_that_share_their_content_are_not_taken_for_each_other(project: Project) -> None:
    project.write(m1_a="SELECT 1;")
    project("apply")
    project.write(m2_b="SELECT 1;", m3_c="SELECT 1;")
    project("apply")  # the first one still has its file
    for number in (1, 2):
        next(project.folder.glob(f"000{number}*")).unlink()
    project.write(m4_d="SELECT 1;", m5_e="SELECT 1;", m6_f="SELECT 1;")
    shown = project("apply", code=4)
    assert shown.count("pgyoyo rename") == 2  # as many as are missing
    project("rename", "0001_a", "0004_d")
    project("rename", "0002_b", "0005_e")
    assert "applied 0006_f" in project("apply")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("0001_a", "0002_b"), "0001_a still has its file here; rename the file first"),
        (("0003_c", "0001_a"), "0001_a is applied itself, so 0003_c can't become it"),
        (("0002_b", "0002_b"), "0002_b is not applied"),
        (("0003_c", "0009_x"), 'no migration "0009_x"'),
    ],
)
def test_rename_refuses_what_is_no_pair(project: Project, words: tuple[str, str], reason: str) -> None:
    project.write(m1_a="SELECT 1;", m3_c="SELECT 3;")
    project("apply")
    (project.folder / "0003_c.sql").unlink()
    project.write(m2_b="SELECT 2;")
    assert reason in project("rename", *words, code=2)
    assert project.applied == ["0001_a", "0003_c"]


# --- Written after it was applied ---


def test_file_that_was_applied_empty_and_written_since_runs_by_the_command_that_is_named(project: Project) -> None:
    project.write(m1_a="-- A.\n", m1_a_back="-- Undo.\n", m2_b="-- depends: 0001_a\nCREATE TABLE b ();")
    project("apply", "--allow-empty")
    project.write(m1_a="-- A.\nCREATE TABLE a ();", m1_a_back="-- Undo.\nDROP TABLE a;")
    words = "0001_a was applied while its file had no statement; those it has now never ran"
    for command in ("apply", "rollback --all --yes"):
        assert words in project(*command.split(), code=4)
    assert "pgyoyo redo 0001_a" in project("status", code=4)
    assert "pgyoyo redo 0001_a" in project("repair", "1", code=2)
    shown = project("redo", "0001_a")
    assert "unmarked 0001_a, which had no statement when it was applied" in shown
    assert "applied 0001_a" in shown
    assert project.conn.execute("SELECT to_regclass('a') IS NOT NULL").fetchone() == (True,)
    assert "nothing to do: 2 applied" in project("apply")
    project.write(m2_b_back="DROP TABLE b;")
    project("rollback", "--all", "--yes")
    assert project.applied == []


def test_pair_that_new_wrote_is_not_applied_before_it_is_written(project: Project, run_here: Callable) -> None:
    project.write(m1_a="SELECT 1;")
    assert run_here("new", "add_b", "--migrations", project.folder).code == 0
    shown = project("apply", code=1)
    assert "0002_add_b.sql: it has no statement yet; write it, then run pgyoyo apply again" in shown
    assert project.conn.execute("SELECT to_regclass('_yoyo_migration') IS NULL").fetchone() == (True,)


def test_redo_by_id_keeps_what_others_need(project: Project) -> None:
    project.write(m1_a="CREATE TABLE a ();", m1_a_back="DROP TABLE a;", m2_b="-- depends: 0001_a\nSELECT 1;")
    project("apply")
    assert "0002_b depends on 0001_a and stays applied" in project("redo", "1", code=1)
    assert "use only one of" in project("redo", "1", "--count", "1", code=2)


# --- Rolling back much ---


def test_rollback_of_all_asks_for_a_word_and_names_what_is_lost(project: Project) -> None:
    project.write(m1_a="CREATE TABLE a ();", m1_a_back="-- lossy: every row of a\nDROP TABLE a;",
                  m2_b="SELECT 2;", m2_b_back="SELECT 0;")  # fmt: skip
    project("apply")
    shown = project("rollback", "--all", code=2)
    assert "  0002_b\n  0001_a  loses: every row of a\n" in shown
    assert "nothing was rolled back; --yes rolls back without asking" in shown
    assert len(project.applied) == 2
    assert "DROP TABLE a" in project("rollback", "--all", "--dry-run")
    project("rollback")  # one that loses nothing
    project("rollback")  # one that loses something is not several
    project("apply")
    project("rollback", "--all", "--yes")
    assert project.applied == []


def test_rollback_of_several_that_lose_data_asks_for_a_word(project: Project) -> None:
    project.write(m1_a="SELECT 1;", m1_a_back="-- lossy: x\nSELECT 0;", m2_b="SELECT 2;", m2_b_back="-- lossy: y\nSELECT 0;",
                  m3_c="SELECT 3;", m3_c_back="SELECT 0;")  # fmt: skip
    project("apply")
    project("rollback", "--count", "2")
    project("rollback", "--count", "2", code=0)
    project("apply")
    assert "loses: y" in project("rollback", "--count", "3", code=2)
    project("rollback", "1", "2", "--yes")


@pytest.mark.parametrize("words", [{"target": "0001_a"}, {"ids": ["0002_b"]}])
def test_migration_that_another_run_rolled_back_meanwhile_is_named(project: Project, words: dict) -> None:
    project.write(m1_a="SELECT 1;", m1_a_back="SELECT 0;", m2_b="SELECT 2;", m2_b_back="SELECT 0;")
    project("apply")
    with psycopg.connect(project.database, autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [key_of("public")])
        failures: list[UsageError] = []

        def roll_back() -> None:
            with psycopg.connect(project.database, autocommit=True) as conn:
                try:
                    project.migrator(conn).rollback(**words)
                except UsageError as error:
                    failures.append(error)

        thread = threading.Thread(target=roll_back)
        thread.start()
        waits = (
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND query LIKE '%pg_try_advisory_lock%'"
        )
        while not other.execute(waits).fetchall():
            assert thread.is_alive()
        other.execute("DELETE FROM _yoyo_migration")
        other.execute("SELECT pg_advisory_unlock_all()")
        thread.join()
    [failure] = failures
    assert "is not applied any more" in str(failure)


# --- Small words ---


def test_repaired_row_of_the_plain_yoyo_is_not_shown_as_marked(project: Project) -> None:
    project.write(m1_a="CREATE TABLE a ();", m2_b="SELECT 2;")
    project("apply", "--to", "1")
    project("mark", "2")
    project.conn.execute("DELETE FROM _pgyoyo_migration WHERE migration_id = '0001_a'")
    assert "applied by plain yoyo (file contents not recorded)" in project("status")
    project("repair", "1")
    lines = project("status").splitlines()
    assert re.search(r"applied by plain yoyo, adopted 20\d\d-\d\d-\d\d$", lines[1])
    assert "by " not in lines[1].replace("by plain yoyo", "")
    assert lines[2].endswith("marked, not run")


def test_interrupted_statement_is_found_by_its_number(project: Project) -> None:
    project.write(m5_call="-- transactional: false\nVACUUM nothing;")
    project("apply", code=1)
    project.conn.execute("UPDATE _pgyoyo_journal SET state = 'started'")
    assert '"6" has no' not in project("settle", "6", "--done", code=2)
    assert "statement 1 of 0005_call counts as done; next: pgyoyo apply" in project("settle", "5", "--done")


def test_warnings_of_the_reader_are_shown_once(project: Project) -> None:
    project.write(m1_a="SELECT 1;")
    (project.folder / "10_b.sql").write_text("SELECT 2;")
    (project.folder / "9_c.sql").write_text("SELECT 3;")
    assert project("apply").count("warning: ") == 1
    assert project("status").count("warning: ") == 1


def test_line_break_in_a_file_name_ends_no_comment_of_the_dry_run(project: Project) -> None:
    project.write(m1_a="SELECT 1;")
    migration = reader.read([str(project.folder)]).migrations[0]
    evil = migration._replace(apply=migration.apply._replace(name="x\nDROP TABLE t;\n.sql"))
    connected = project.migrator(project.conn)
    with connected.running(connected.status()) as (executor, _):
        for single in (False, True):
            text = "\n".join(executor.preview([evil], "apply", batched=not single))
            assert "\nDROP TABLE" not in text
            assert r"x\nDROP TABLE t;\n.sql" in text


@pytest.mark.parametrize("column", ["migration_id", "applied_at_utc", "migration_id = NULL, applied_at_utc"])
@pytest.mark.parametrize("has_file", [True, False])
def test_row_that_another_program_wrote_without_id_or_time_ends_no_command(
    project: Project, column: str, has_file: bool
) -> None:
    project.write(m1_a="SELECT 1;", m1_a_back="SELECT 0;", m2_b="SELECT 2;", m2_b_back="SELECT 0;")
    project("apply")
    project.conn.execute(f"UPDATE _yoyo_migration SET {column} = NULL WHERE migration_id = '0001_a'".encode())
    if not has_file:
        (project.folder / "0001_a.sql").unlink()
        (project.folder / "0001_a.rollback.sql").unlink()
    for words in ("status", "status --format json", "apply --dry-run", "apply"):
        project(*words.split())
    # Where its file is gone there is nothing to roll it back with: refused.
    for words in (
        "rollback --dry-run", "rollback", "apply", "rollback --all --yes", "redo", "mark 1", "unmark 1", "repair 1",
        "rename 1 2", "baseline --to 2 --yes",
    ):  # fmt: skip
        done = project.run_here(*words.split(), "--database", project.database, "--migrations", project.folder)
        assert (done.code in (0, 1, 2, 4), "Traceback" in done.err) == (True, False), done.err


def test_rollback_without_files_names_the_stored_text_and_a_way_that_is_there(project: Project) -> None:
    project.write(m1_a="SELECT 1;", m2_b="SELECT 2;", m2_b_back="DROP TABLE gone;")
    (project.folder / "0002 c.sql").write_text("SELECT 3;")
    project.write(m3_d="SELECT 4;", m3_d_back="-- nothing yet")
    project("apply")
    for path in project.folder.glob("000[23]*"):
        path.unlink()
    assert '"2" matches 0002 c, 0002_b; write more of the id' in project("rollback", "2", code=2)
    shown = project("rollback", "0002_b", code=1)
    assert "error: 0002_b.rollback.sql (as stored):1: in DROP TABLE gone:" in shown
    assert "Undo it by hand and run: pgyoyo unmark 0002_b; or restore its files" in shown
    shown = project("rollback", "0002 c", code=1)
    assert (
        "0002 c has no file here, and was applied without a rollback; restore 0002 c.sql and write 0002 c.roll" in shown
    )
    assert "`pgyoyo unmark '0002 c'`" in shown
    shown = project("rollback", "0003_d", code=1)
    assert "0003_d has no file here, and its rollback had no statement when it was applied; restore 0003_d.sql" in shown


@pytest.mark.parametrize("answer", [True, False])
def test_rollback_of_all_asks_on_a_terminal(project: Project, answer: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write(m1_a="SELECT 1;", m1_a_back="-- lossy: x\nSELECT 0;")
    project("apply")
    asked: list[str] = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.confirm", lambda text: asked.append(text) or answer)
    project("rollback", "--all", code=0 if answer else 2)
    assert asked == ["Roll back?"]
    assert project.applied == ([] if answer else ["0001_a"])


def test_what_was_confirmed_and_nothing_else_is_rolled_back(project: Project) -> None:
    project.write(m1_a="SELECT 1;", m1_a_back="SELECT 0;")
    project("apply")

    def confirm(_: Sequence[Migration]) -> bool:
        project.write(m2_b="SELECT 2;", m2_b_back="SELECT 0;")
        project("apply")
        return True

    with psycopg.connect(project.database, autocommit=True) as conn:
        migrator = project.migrator(conn)
        with pytest.raises(UsageError, match="another run changed what is applied"):
            migrator.rollback(everything=True, confirm=confirm)
    assert project.applied == ["0001_a", "0002_b"]


def test_hooks_run_after_redo_and_in_a_session_of_their_own_where_types_changed(project: Project) -> None:
    project.write(
        m1_a="CREATE TABLE a (at timestamp);\nCREATE TABLE log (t text);\n"
        "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ DECLARE r record; BEGIN\n"
        "FOR r IN SELECT * FROM a LOOP INSERT INTO log VALUES (r.at::date); END LOOP; END $$;\n"
        "INSERT INTO a VALUES (now());\nSELECT f();",
        m2_b="ALTER TABLE a ALTER at TYPE timestamptz;",
        m2_b_back="ALTER TABLE a ALTER at TYPE timestamp;",
    )
    (project.folder / "post-apply.sql").write_text("SELECT f();")
    assert "ran post-apply" in project("apply")
    assert "ran post-apply" in project("redo")
    assert project.conn.execute("SELECT count(*) FROM log").fetchone() == (3,)
    assert "nothing to do" in project("apply")
    assert json.loads(project("status", "--format", "json"))["hooks_due"] == []


def test_branches_whose_last_ones_are_applied_are_no_matter_to_a_strict_run(project: Project) -> None:
    project.write(m1_a="SELECT 1;", m2_b="-- depends: 0001_a\nSELECT 2;", m2_c="-- depends: 0001_a\nSELECT 3;")
    project("apply", "--to", "0002_b")
    assert "write -- depends: 0002_b in 0002_c, or leave --strict out" in project("apply", "--strict", code=4)
    project("apply")
    assert "nothing to do: 3 applied" in project("apply", "--strict")


def test_hook_that_failed_is_due_in_each_form_of_status(project: Project) -> None:
    project.write(m1_a="CREATE TABLE a ();")
    (project.folder / "post-apply.sql").write_text("SELECT 1/0;")
    project("apply", code=1)
    assert "post-apply did not run to the end after the last apply; run: pgyoyo apply" in project("status")
    assert json.loads(project("status", "--format", "json"))["hooks_due"] == ["post-apply"]
