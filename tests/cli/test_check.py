"""pgyoyo check: every defect in one report, and the lines that it adds on request."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pgyoyo import whole_file
from pgyoyo.migrations import checks, fixes, reader
from pgyoyo.migrations.migration import NO_OP

INDEX = "CREATE INDEX CONCURRENTLY i ON t (c);\n"
LINE = "-- transactional: false\n"


@pytest.fixture
def check(tmp_path: Path, run_here: Callable) -> Callable[..., tuple[int, str]]:
    """Writes the files, and runs the command on them; its exit code and output."""

    def check(*words: str, **texts: str) -> tuple[int, str]:
        for name, text in texts.items():
            (tmp_path / (name.replace("_back", ".rollback")[1:] + ".sql")).write_bytes(text.encode())
        done = run_here("check", *words, "--migrations", ".", cwd=tmp_path)
        return done.code, done.out + done.err

    return check


def test_clean_files_are_counted(check: Callable) -> None:
    assert check(m1_a="SELECT 1;", m1_a_back="SELECT 0;") == (0, "no defect in 2 files\n")


def test_rollback_files_that_are_missing_have_a_line_each_while_they_are_few(check: Callable, tmp_path: Path) -> None:
    _, few = check(**{f"m{number}_a": "SELECT 1;" for number in range(1, 6)})
    assert few.count(" has no rollback file") == 5
    (tmp_path / "7_c.py").write_text("from yoyo import step\nsteps = [step('SELECT 1')]\n")
    _, many = check(m6_b="SELECT 1;")
    warning = "warning: 6 migrations have no rollback file: 1_a and 5 more; write ID.rollback.sql for each"
    python = "warning: 7_c has no rollback: no step in 7_c.py has one; undo the migration by hand and run `pgyoyo unmark 7_c`"
    assert many == f"no defect in 7 files\n{warning}\n{python}\n"


def test_defects_of_header_and_statements_stand_in_one_report(check: Callable) -> None:
    code, shown = check(
        m1_a="-- transactionnal: false\nSELECT 1;", m2_b=INDEX, m2_b_back="SELECT 1;\nCOMMIT;\n",
        m3_c="-- depends: 9_x\n" + INDEX,
        m4_d="BEGIN; SELECT 1; COMMIT; BEGIN; COMMIT;", m5_e="SELECT 1;",
    )  # fmt: skip
    assert code == 1
    for words in ('1_a.sql:1: unknown header "transactionnal"', "2_b.sql:1: CREATE INDEX CONCURRENTLY i can't run",
                  "2_b.rollback.sql:2: COMMIT inside the file", '3_c.sql:1: depends on "9_x"', "3_c.sql:2: CREATE INDEX",
                  "4_d.sql:1: COMMIT inside", "1_a has no rollback file", "5_e has no rollback file",
                  "`pgyoyo check --fix` adds the line that is missing in 3 files"):  # fmt: skip
        assert words in shown


def test_phases_are_counted_where_a_file_has_one(check: Callable) -> None:
    expand, contract = "-- phase: expand\nSELECT 1;", "-- phase: contract\nSELECT 1;"
    shown = check(m1_a="SELECT 1;", m2_a=expand, m3_a=expand, m4_a=contract)[1]
    assert "no defect in 4 files; 2 expand migrations and 1 contract migration\n" in shown


UNREADABLE = (
    ("ALTER TABLE t ADD a int\nALTER TABLE t ADD b int;", 2, 'syntax error at or near "ALTER"; is a semicolon missing'),
    ("SELECT 'é';\nCREATE\u00a0TABLE t ();", 2, "syntax error; U+00A0, which looks like a space"),
    ("SELECT 1;\n<<<<<<< HEAD\nSELECT 2;\n", 2, "syntax error; that line is left from a merge conflict; resolve it"),
    ("CREAT TABLE t ();", 1, 'syntax error at or near "CREAT"; correct'),
    ("SELECT 1;\nSELECT 'secret\n;", 2, "unterminated quoted string begins here"),
    ("SELECT 'secret' 'secret';", 1, "syntax error; correct"),
    ('SELECT "secret\n;', 1, "unterminated quoted identifier begins here"),
    ("SELECT $$ secret\n;\n", 1, "unterminated dollar-quoted string begins here"),
    ("-- é\n/* secret\nSELECT 1;", 2, "unterminated /* comment begins here"),
    ("CREATE TABLE t (\n  i int\n\n", 2, "syntax error at end of input"),
    ("COPY t FROM stdin;\n1\tx'\n\\.\nSELEC 1;", 4, 'syntax error at or near "SELEC"'),
    ("\ufeff-- é\r\nSELECT 'é' 1;\r\n", 2, 'syntax error at or near "1"'),
    ("SELECT 1;\n\\i secret", 2, "\\i is a psql command"),
    (r"SET standard_conforming_strings = off; SELECT 'it\'s';", 0, ""),
    ("COPY t FROM stdin;\n'\n\\.\n", 0, ""),
    ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END;", 0, ""),
)


def test_where_the_parser_stops_is_a_defect_with_its_line_and_no_literal(check: Callable) -> None:
    texts = {f"m{number:02}_a": text for number, (text, _, _) in enumerate(UNREADABLE)}
    code, shown = check(**texts)
    defects = [line.removeprefix("error: ") for line in shown.splitlines() if "_a.sql" in line]
    assert (code, len(defects), "secret" in shown.replace("\\i secret", "")) == (1, len(UNREADABLE) - 3, False)
    for number, (_, line, words) in enumerate(UNREADABLE):
        if line:
            assert any(defect.startswith(f"{number:02}_a.sql:{line}: {words}") for defect in defects), (words, shown)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (INDEX, f"{LINE}\n{INDEX}"),
        (f"-- Title.\n\n{INDEX}", f"-- Title.\n--\n{LINE}\n{INDEX}"),
        (f"-- Title.\n{INDEX}", f"-- Title.\n--\n{LINE}{INDEX}"),
        (f"-- Title.\n--\n-- lock-timeout: 5s\n\n{INDEX}", f"-- Title.\n--\n-- lock-timeout: 5s\n{LINE}\n{INDEX}"),
        (f"-- A.\n-- transactional: true\n{INDEX}", None),
        (f"\ufeff{INDEX}", f"\ufeff{LINE}\n{INDEX}"),
        (f"/* x */\n{INDEX}", f"{LINE}\n/* x */\n{INDEX}"),
        (f"-- A.\n/* x */ -- b\n{INDEX}", f"-- A.\n--\n{LINE}/* x */ -- b\n{INDEX}"),
        (f"-- A.\r\n{INDEX}".replace("\n", "\r\n").replace("\r\r", "\r"),
         f"-- A.\n--\n{LINE}{INDEX}".replace("\n", "\r\n")),
        (f"BEGIN;\n{INDEX}COMMIT;\n", None),
        (f"{INDEX}COPY t TO stdout;\n", None),
        ("SELECT 1;\nCOMMIT;\n", None),
        ("SELECT 1;\n", None),
    ],
)  # fmt: skip
def test_missing_line_is_added_to_the_header_where_that_is_all(tmp_path: Path, before: str, after: str | None) -> None:
    (tmp_path / "1_a.sql").write_bytes(before.encode())
    file = reader.read([str(tmp_path)]).migrations[0].apply
    data = fixes.declared(file)
    assert (data and data.decode()) == after
    if data:
        whole_file.write(file.path, data)
        fixed = reader.read([str(tmp_path)]).migrations[0].apply
        assert (fixed.header.transactional, list(checks.defects(fixed))) == (False, [])
        assert fixes.declared(fixed) is None


def test_fix_shows_the_difference_and_leaves_nothing_else(check: Callable, tmp_path: Path) -> None:
    (tmp_path / "2_b.sql").touch(mode=0o640)
    code, shown = check("--fix", m1_a="SELECT 1;", m2_b=INDEX, m2_b_back="-- Undo.\n")
    assert code == 0
    assert "--- 2_b.sql\n+++ 2_b.sql\n@@ -1 +1,3 @@\n+-- transactional: false\n" in shown
    assert (tmp_path / "2_b.sql").read_text() == f"{LINE}\n{INDEX}"
    assert (tmp_path / "2_b.sql").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "2_b.rollback.sql").read_text() == "-- Undo.\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1_a.sql", "2_b.rollback.sql", "2_b.sql"]


def test_empty_rollback_gets_its_select_only_when_asked(check: Callable, tmp_path: Path) -> None:
    texts = {"m1_a": "SELECT 1;", "m1_a_back": "-- Undo.", "m2_b": "SELECT 1;", "m2_b_back": "-- irreversible: no\n"}
    assert check("--no-op", **texts)[0] == 2
    code, shown = check("--fix", "--no-op", **texts)
    assert (code, f"+{NO_OP}" in shown) == (0, True)
    assert (tmp_path / "1_a.rollback.sql").read_text() == f"-- Undo.\n{NO_OP}\n"
    assert (tmp_path / "2_b.rollback.sql").read_text() == texts["m2_b_back"]


def test_link_stays_a_link_and_a_failure_leaves_the_file(check: Callable, tmp_path: Path, monkeypatch) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    (target / "real").write_text(INDEX)
    (tmp_path / "1_a.sql").symlink_to(target / "real")

    def fail(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        code, shown = check("--fix")
    assert code == 2
    assert "cannot be written: No space left on device" in shown
    assert ((target / "real").read_text(), len(list(target.iterdir()))) == (INDEX, 1)
    assert check("--fix")[0] == 0
    assert (tmp_path / "1_a.sql").is_symlink()
    assert (target / "real").read_text().startswith(LINE)


def test_do_block_that_ends_its_transaction_is_a_defect_where_the_file_runs_in_one(
    run_here: Callable, tmp_path: Path
) -> None:
    ends = "SELECT 1;\nDO $$ BEGIN IF true THEN ROLLBACK; END IF; END $$;\n"
    texts = {
        "0001_a": ends, "0002_b": f"-- transactional: false\n{ends}",
        "0003_c": "-- commit\nDO $$ BEGIN PERFORM 'COMMIT;'; /* ROLLBACK; */ END $$;",
    }  # fmt: skip
    for name, text in texts.items():
        (tmp_path / f"{name}.sql").write_text(text)
        (tmp_path / f"{name}.rollback.sql").write_text("SELECT 1;")
    done = run_here("check", "--migrations", tmp_path)
    assert done.code == 1
    assert "0001_a.sql:2: this DO block has a ROLLBACK, which can't run in a transaction; add the line" in done.err
    assert "0002_b" not in done.err
    assert "0003_c" not in done.err
