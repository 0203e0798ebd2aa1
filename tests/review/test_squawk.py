"""squawk's findings: it knows the file's transaction, they stand at their statements, and what was measured counts more."""

import sys
from pathlib import Path

import pytest
from psycopg import Connection

from pgyoyo.console import Console
from pgyoyo.errors import PgyoyoError
from pgyoyo.migrations import reader
from pgyoyo.review import squawk as linter
from pgyoyo.review.review import Chain, review
from pgyoyo.review.sheet import Finding
from pgyoyo.sql import parser

VERSION = 180004


def lint(sql: str, *ran: int) -> list[Finding]:
    """The findings in the file whose statements with these numbers ran."""
    file = reader.from_texts("0001_x", sql, None).apply
    script = parser.parse(file.data)
    [reported] = linter.reports([(file, script)], server_version=VERSION)
    return linter.lint(file, script, reported, ran=ran)


def findings(sql: str, *ran: int) -> list[tuple[str, int, int | None]]:
    return [(finding.rule, finding.line, finding.statement) for finding in lint(sql, *ran)]


@pytest.fixture(name="squawk")
def squawk_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a program in the place of squawk, a shell script; None for none at all."""

    def squawk(script: str | None) -> None:
        monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
        monkeypatch.setenv("PATH", str(tmp_path / "empty"))
        monkeypatch.setattr("pgyoyo.review.squawk.files", lambda package: [])
        if script is not None:
            program = tmp_path / "squawk"
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)

    return squawk


def test_finding_has_its_rule_its_words_and_a_page_to_read() -> None:
    [finding] = lint("CREATE TABLE t (id bigint);\nDROP TABLE u;", 1)
    assert (finding.rule, finding.severity, finding.source) == ("squawk:ban-drop-table", "warning", "squawk")
    assert (finding.line, finding.statement) == (2, 2)
    assert finding.happens == "Dropping a table may break existing clients."
    assert finding.url == "https://squawkhq.com/docs/ban-drop-table"


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("CREATE TABLE t (id bigint, at timestamp);", "prefer-timestamp-tz"),
        ("CREATE TABLE t (id bigint, code char(3));", "ban-char-field"),
        ("ALTER TABLE t ALTER id SET GENERATED ALWAYS;", "ban-alter-identity"),
    ],
)
def test_style_is_a_note_whether_it_ran_or_not(sql: str, rule: str) -> None:
    for ran in ((), (1, 2)):
        assert (f"squawk:{rule}", "note") in {(finding.rule, finding.severity) for finding in lint(sql, *ran)}


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("DROP FUNCTION f(int);\nCREATE FUNCTION f(int) RETURNS int RETURN 1;", "ban-drop-function"),
        ("ALTER TABLE t DROP CONSTRAINT c, ADD CONSTRAINT c CHECK (a > 0) NOT VALID;", "ban-drop-constraint"),
        ("ALTER TABLE t ALTER a DROP NOT NULL;", "ban-drop-not-null"),
        ("DROP TYPE t;", "ban-drop-type"),
        ("DROP SCHEMA s;", "ban-drop-schema"),
    ],
)
def test_what_rules_of_ours_judge_is_a_note_where_it_did_not_run(sql: str, rule: str) -> None:
    assert (f"squawk:{rule}", "note") in {(finding.rule, finding.severity) for finding in lint(sql)}
    assert lint(sql, 1, 2) == []


def test_note_has_the_advice_of_squawk() -> None:
    [finding] = lint("CREATE TABLE t (id bigint, at timestamp);", 1)
    assert finding.workaround == "Use `timestamptz` instead of `timestamp` for your column type."


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE TABLE t (id integer, name varchar(9));",
        "CREATE TABLE t (id bigint);\nCREATE INDEX t_id_idx ON t (id);\nALTER TABLE t ADD COLUMN x bigint;",
        "-- transactional: false\nCREATE INDEX CONCURRENTLY t_id_idx ON t (id);",
        "BEGIN;\nALTER TABLE t ADD COLUMN x bigint;\nCOMMIT;",
        "-- Empty.\n",
        "",
    ],
    ids=["taste", "what is made here", "CONCURRENTLY outside a transaction", "wrapped", "comment", "nothing"],
)
def test_no_wolf_is_cried(sql: str) -> None:
    assert lint(sql, 1, 2, 3) == []


def test_file_is_known_to_run_in_one_transaction(squawk, tmp_path: Path) -> None:
    squawk(f'echo "$@" >> {tmp_path}/args\necho "[]"')
    lint("SELECT 1;")
    lint("-- transactional: false\nSELECT 1;")
    inside, outside = (tmp_path / "args").read_text().splitlines()
    assert "--assume-in-transaction" in inside
    assert "--assume-in-transaction" not in outside
    assert "--config /dev/null" in inside, "no .squawk.toml from somewhere else"
    assert "--pg-version 18" in inside


def test_all_files_of_a_kind_are_given_to_one_process(squawk, tmp_path: Path) -> None:
    texts = [f"{'-- transactional: false' * (n % 2)}\nDROP TABLE t{n};\n" * (n != 4) for n in range(6)]
    files = [reader.from_texts(f"{n:04}_x", text, None).apply for n, text in enumerate(texts)]
    real = linter._program()
    squawk(f'echo >> {tmp_path}/processes\nexec {real} "$@"')
    reported = linter.reports([(file, parser.parse(file.data)) for file in files], server_version=VERSION)
    rules = [[each["rule_name"] for each in reports] for reports in reported]
    assert rules == [["ban-drop-table"] if n != 4 else [] for n in range(6)]
    assert len((tmp_path / "processes").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("CREATE INDEX i ON t (a);", "require-concurrent-index-creation"),
        ("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0);", "constraint-missing-not-valid"),
        ("ALTER TABLE t ALTER COLUMN a TYPE bigint;", "changing-column-type"),
        ("ALTER TABLE t ALTER COLUMN a SET NOT NULL;", "adding-not-nullable-field"),
        ("DROP TABLE t;", "ban-drop-table"),
        ("ALTER TABLE t RENAME a TO b;", "renaming-column"),
    ],
)
def test_what_the_rehearsal_measures_counts_only_where_it_did_not_run(sql: str, rule: str) -> None:
    assert (f"squawk:{rule}", 2, 2) in findings(f"SELECT 1;\n{sql}", 1)
    assert findings(f"SELECT 1;\n{sql}", 1, 2) == []


def test_what_the_rehearsal_measures_counts_where_the_statement_had_nothing_to_do_there(admin: Connection) -> None:
    nothing = "ALTER TABLE t ALTER a TYPE integer;\nALTER TABLE t ALTER a SET NOT NULL;"
    sql = f"ALTER TABLE IF EXISTS elsewhere ADD CHECK (a > 0);\n{nothing}"
    chain = [
        reader.from_texts("0001_t", "CREATE TABLE t (a integer NOT NULL);", "DROP TABLE t;"),
        reader.from_texts("0002_x", sql, "-- irreversible: nothing to do\n"),
    ]
    reviewed = review(admin, Chain(chain, [1]), Console(quiet=True))
    # That the other two have nothing to do was seen on the table itself.
    reported = [(each.rule, each.line) for each in reviewed.findings if each.source == "squawk"]
    assert reported == [("squawk:constraint-missing-not-valid", 1)]


def test_comment_of_squawks_own_is_heard() -> None:
    assert findings("-- squawk-ignore ban-drop-table\nDROP TABLE t;", 1) == []


@pytest.mark.parametrize(
    ("sql", "line", "statement"),
    [
        ("SELECT 'ü', 'ß€🐘'; DROP TABLE t;", 1, 2),
        ("SELECT 'ü';\nSELECT\n'🐘🐘🐘🐘🐘🐘🐘🐘🐘';\nDROP TABLE\nt;\nSELECT 1;", 4, 3),
        ("\ufeffSELECT 1;\r\nDROP TABLE t;\r\nSELECT 1;\r\n", 2, 2),
        ("SELECT 1;\n\\restrict abc\nDROP TABLE t;\n\\unrestrict abc\n", 3, 2),
        ("COPY t FROM stdin;\nü\n2\n3\n\\.\nSELECT 'ü';\nDROP TABLE t;\nSELECT 1;", 7, 3),
        ("COPY t FROM stdin;\n1\n\\.\nCOPY t FROM stdin;\n1\n\\.\n/* ü */ DROP TABLE t;", 7, 3),
        ("BEGIN;\nSELECT 1;\nDROP TABLE t;\nCOMMIT;", 3, 2),
    ],
    ids=["same line", "lines", "BOM and CRLF", "restrict", "behind a COPY", "behind two", "wrapped"],
)
def test_finding_stands_at_its_statement(sql: str, line: int, statement: int) -> None:
    assert findings(sql) == [("squawk:ban-drop-table", line, statement)]


def test_text_that_it_can_not_read_is_told_where_nothing_ran() -> None:
    sql = "SELECT 1;\nCREATE TABEL t (a int);"
    assert {(rule, line, number) for rule, line, number in findings(sql, 1)} == {("squawk:syntax-error", 2, 2)}
    assert findings(sql, 1, 2) == [], "the server could"


def test_many_findings_are_placed_without_reading_the_file_again_for_each() -> None:
    sql = "".join(f"DROP TABLE ü{number};\n" for number in range(2_000))
    assert findings(sql) == [("squawk:ban-drop-table", number, number) for number in range(1, 2_001)]


# --- A squawk that is not there, or is not as it should be ---


def test_squawk_that_is_not_installed_is_told(squawk) -> None:
    squawk(None)
    with pytest.raises(PgyoyoError, match="squawk is not installed; run `pip install squawk-cli`"):
        lint("SELECT 1;")


def test_squawk_of_the_package_is_taken_where_this_python_has_none_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert findings("DROP TABLE t;") == [("squawk:ban-drop-table", 1, 1)]


def test_squawk_that_can_not_be_run_is_told(squawk, tmp_path: Path) -> None:
    squawk("")
    (tmp_path / "squawk").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(PgyoyoError, match=r"squawk can't be run: .*squawk: Exec format error"):
        lint("SELECT 1;")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'invalid rule name nope' >&2; exit 2", "invalid rule name nope"),
        ("echo 'could not read' >&2; exit 1", "could not read"),
        ("echo 'not JSON'; exit 1", "exit code 1"),
        ("kill -9 $$", "signal 9"),
    ],
    ids=["unknown option", "can't read", "no JSON", "killed"],
)
def test_failure_of_squawk_is_no_clean_bill(squawk, script: str, words: str) -> None:
    squawk(script)
    with pytest.raises(PgyoyoError, match=f"the output of squawk can't be read: {words}"):
        lint("SELECT 1;")


def test_nothing_printed_by_a_squawk_that_ends_well_is_nothing_found(squawk) -> None:
    squawk("exit 0")
    assert lint("SELECT 1;") == []
