"""pgyoyo convert: the SQL of Python migrations, written only where plain yoyo's run of the .py leaves the same."""

from pathlib import Path

import psycopg
import pytest

from pgyoyo.console import Console
from pgyoyo.migrations import plan, reader
from pgyoyo.prove import conversion

FILES = {
    "0001_a.py": '"""Table a."""\nfrom yoyo import step\n'
    'step("CREATE TABLE a (i int, t timestamptz DEFAULT now())", "DROP TABLE a")\n',
    "0002_b.py": '__depends__ = {"0001_a"}\n# Twice.\nstep("INSERT INTO a (i) SELECT i + 1 FROM a", "DELETE FROM a")\n'
    'step("CREATE INDEX ai ON a (i)", "DROP INDEX ai")\n',
    "0003_c.py": 'def f(conn):\n    pass\n\n\n__depends__ = {"0002_b"}\nstep("ALTER TABLE a ADD c int")\nstep(f)\n',
    "0004_d.py": '__depends__ = {"0003_c"}\n__transactional__ = False\nstep("CREATE INDEX CONCURRENTLY ac ON a (c)")\n',
    "0005_e.sql": "-- depends: 0004_d\nCREATE TABLE e ();",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_converted_files_stand_for_the_same_migrations(
    folder: Path, server_conninfo: str, database: str, conn: psycopg.Connection, run_here
) -> None:
    options = ["--migrations", folder, "--database", database]
    assert run_here("apply", "--to", "2", *options).code == 0
    done = run_here("convert", "--migrations", folder, "--scratch", server_conninfo, "--keep")
    assert done.code == 0, done.err
    assert [line.split(":")[0] for line in done.out.splitlines()] == [
        "converted 0001_a",
        "converted 0002_b",
        "converted 0004_d",
    ]
    assert "0003_c.py:7: the step is the function f" in done.err
    # Both are there: the .sql counts, and is what was applied.
    assert run_here("status", *options).code == 0
    for name in ("0001_a", "0002_b", "0004_d"):
        (folder / f"{name}.py").unlink()
    status = run_here("status", *options)
    assert (status.code, "edited" in status.out) == (0, False)
    assert sorted(path.name for path in folder.iterdir()) == [
        "0001_a.rollback.sql", "0001_a.sql", "0002_b.rollback.sql", "0002_b.sql", "0003_c.py", "0004_d.sql", "0005_e.sql",
    ]  # fmt: skip
    assert (folder / "0002_b.sql").read_text() == (
        "-- depends: 0001_a\n\n-- Twice.\nINSERT INTO a (i) SELECT i + 1 FROM a;\n\nCREATE INDEX ai ON a (i);\n"
    )
    again = run_here("convert", "0001_a", "--migrations", folder)
    assert (again.code, "is SQL already" in again.err) == (2, True)


def test_hooks_in_python_are_converted_and_a_function_in_one_is_no_migration_to_mark(
    tmp_path: Path, server_conninfo: str, database: str, run_here
) -> None:
    (tmp_path / "0001_a.sql").write_text("CREATE TABLE a (i int);")
    (tmp_path / "post-apply.py").write_text('from yoyo import step\nstep("CREATE OR REPLACE VIEW v AS TABLE a")\n')
    (tmp_path / "post-apply_b.py").write_text("from yoyo import step\ndef f(conn): ...\nstep(f)\n")
    done = run_here("convert", "--migrations", tmp_path, "--scratch", server_conninfo, "--yes")
    assert (done.code, done.out.split(":")[0], "b.py:3: the step is the function" in done.err) == (
        0,
        "converted post-apply",
        True,
    )
    assert (tmp_path / "post-apply.sql").read_text() == "CREATE OR REPLACE VIEW v AS TABLE a;\n"
    assert not (tmp_path / "post-apply.py").exists()
    refused = run_here("apply", "--migrations", tmp_path, "--database", database)
    assert (refused.code, "post-apply_b is not applied here" in refused.err, "pgyoyo mark" in refused.err) == (
        1,
        True,
        False,
    )


def test_files_that_give_something_else_are_named(folder: Path, admin: psycopg.Connection) -> None:
    order = plan.order(reader.read([str(folder)]).migrations)[:2]
    assert order[1].rollback
    wrong = order[1]._replace(
        apply=order[1].apply._replace(data=b"INSERT INTO a (i) SELECT i + 2 FROM a;\nCREATE INDEX aj ON a (i);\n"),
        rollback=order[1].rollback._replace(data=b"DROP INDEX aj;\n"),
    )
    [(name, lines)] = conversion.differences(admin, order, {"0002_b": wrong}, Console(quiet=True))
    assert name == "0002_b"
    assert any(line.startswith("applied: index public.ai") for line in lines), lines
    assert any("applied: " in line and "public.a" in line and "row" in line for line in lines), lines
    assert any(line.startswith("rolled back: ") for line in lines), lines


def test_nothing_is_left_where_the_proof_fails(folder: Path, server_conninfo: str, run_here) -> None:
    (folder / "0002_b.py").write_text('step("SELECT nope")')
    done = run_here("convert", "2", "--migrations", folder, "--scratch", server_conninfo, "--yes")
    assert (done.code, 'column "nope" does not exist' in done.err) == (1, True)
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)


def test_a_migration_that_no_rows_pass_is_compared_with_empty_tables(
    tmp_path: Path, server_conninfo: str, run_here
) -> None:
    (tmp_path / "0001_a.py").write_text('step("CREATE TABLE a (i int)", "DROP TABLE a")\n')
    (tmp_path / "0002_b.py").write_text(
        '__depends__ = {"0001_a"}\nstep("ALTER TABLE a ADD b int NOT NULL", "ALTER TABLE a DROP b")\n'
    )
    (tmp_path / "0003_c.py").write_text(
        '__depends__ = {"0002_b"}\nstep("CREATE TABLE c ()", "DROP TABLE nothing_of_that_name")\n'
    )
    done = run_here("convert", "--migrations", tmp_path, "--scratch", server_conninfo, "--yes")
    assert (done.code, done.err.count("with empty tables"), "0002_b was compared" in done.err) == (0, 1, True), done.err
    # What plain yoyo can't roll back stays as it is.
    assert (
        'the rollback of 0003_c fails, and did before: ERROR: table "nothing_of_that_name" does not exist' in done.err
    )
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".sql"] * 6


def test_only_the_same_failure_of_a_rollback_is_the_same(tmp_path: Path, admin: psycopg.Connection) -> None:
    (tmp_path / "0001_a.py").write_text('step("CREATE TABLE a ()", "DROP TABLE b")\n')
    order = plan.order(reader.read([str(tmp_path)]).migrations)
    (tmp_path / "sql").mkdir()
    for name, text in (("0001_a.sql", "CREATE TABLE a ();"), ("0001_a.rollback.sql", "DROP TABLE a;")):
        (tmp_path / "sql" / name).write_text(text)
    files = {m.id: m for m in reader.read([str(tmp_path / "sql")]).migrations}
    ((_, lines),) = conversion.differences(admin, order, files, Console())
    assert lines[-1] == (
        'rolled back: ERROR: table "b" does not exist (SQLSTATE 42P01) by the .py, no error by the .sql'
    ), lines


def test_python_files_go_when_asked(folder: Path, server_conninfo: str, run_here) -> None:
    done = run_here("convert", "1", "--migrations", folder, "--scratch", server_conninfo, "--yes")
    assert done.code == 0, done.err
    assert "1 Python file removed" in done.out
    assert not (folder / "0001_a.py").exists()
    assert (folder / "0001_a.sql").exists()
