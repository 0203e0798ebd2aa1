"""squawk's findings: told what the file is, placed at the right statement, and what the rehearsal measured left out."""

import stat
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from pgyoyo import linter, migration, statements
from pgyoyo.errors import PgyoyoError
from pgyoyo.sheet import Finding


@pytest.fixture
def lint(tmp_path: Path):
    """squawk's findings on a file, of whose statements those numbers ran."""

    def lint(text: str, ran: Collection[int] = ()) -> list[Finding]:
        path = tmp_path / "0001_x.sql"
        path.write_bytes(text.encode())
        file = migration.read_one(path).apply
        return linter.lint(file, statements.parse(file.data), server_version=180000, ran=ran)

    return lint


def at(found: list[Finding]) -> list[tuple[str, int, int | None]]:
    return [(one.rule, one.line, one.statement) for one in found]


def test_drop_of_a_column_is_found_at_its_statement(lint) -> None:
    [one] = lint("CREATE TABLE t (a bigint);\n\nALTER TABLE t DROP COLUMN a;", [1, 2])
    assert (one.rule, one.line, one.statement, one.severity) == ("squawk:ban-drop-column", 3, 2, "warning")
    assert one.source == "squawk"
    assert one.url == "https://squawkhq.com/docs/ban-drop-column"
    assert one.happens


@pytest.mark.parametrize(
    "text",
    [
        "ALTER TABLE t ADD COLUMN a integer;",
        "CREATE TABLE IF NOT EXISTS t (a varchar(20), b smallint);",
        "BEGIN;\nALTER TABLE t ADD COLUMN a integer;\nCOMMIT;",
        "-- transactional: false\nCREATE INDEX CONCURRENTLY t_a_idx ON t (a);",
        "CREATE TABLE t (a bigint);\nCREATE INDEX t_a_idx ON t (a);",
    ],
)
def test_no_wolf_is_cried_over_what_pgyoyo_does_itself_or_taste(lint, text: str) -> None:
    assert at(lint(text, [1, 2])) == []


def test_what_is_measured_counts_only_where_the_statement_was_not_seen_to_run(lint) -> None:
    text = "CREATE INDEX t_a_idx ON t (a);\nCREATE INDEX t_b_idx ON t (b);"
    rule = "squawk:require-concurrent-index-creation"
    assert at(lint(text)) == [(rule, 1, 1), (rule, 2, 2)]
    assert at(lint(text, [1])) == [(rule, 2, 2)]
    assert at(lint(text, [1, 2])) == []


def test_taste_is_a_note(lint) -> None:
    assert {one.severity for one in lint("CREATE TABLE t (a timestamp);", [1])} == {"note"}


@pytest.mark.parametrize(
    ("text", "line", "statement"),
    [
        ("SELECT 'äöü€🐘'; ALTER TABLE t DROP COLUMN a;", 1, 2),
        ("-- äöü\nSELECT 1; /* 🐘🐘🐘🐘 */ SELECT 2; ALTER TABLE t DROP COLUMN a; SELECT 3;", 2, 3),
        ("COPY t FROM stdin;\n1\n2\n3\n\\.\nSELECT 1;\nALTER TABLE t DROP COLUMN a;", 7, 3),
        ("SELECT 1;\r\n\r\nALTER TABLE t\r\n  DROP COLUMN a;\r\n", 4, 2),
    ],
    ids=["multi-byte", "multi-byte before", "data of a COPY", "CRLF"],
)
def test_place_is_that_of_the_file(lint, text: str, line: int, statement: int) -> None:
    assert at(lint(text, [1, 2, 3])) == [("squawk:ban-drop-column", line, statement)]


# --- When squawk does not answer ---


def test_squawk_that_is_missing_is_told_with_the_command_that_installs_it(lint, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(PgyoyoError, match=r"squawk is not installed; run `pip install squawk-cli`"):
        lint("SELECT 1;")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'no such rule' >&2; exit 2", "no such rule"),
        ("echo 'out of its mind'; echo boom >&2; exit 1", "boom"),
        ("exit 3", "exit code 3"),
        ("kill -9 $$", "signal 9"),
    ],
)
def test_squawk_that_fails_is_told_in_its_words(lint, monkeypatch, tmp_path: Path, script: str, words: str) -> None:
    program = tmp_path / "squawk"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(PgyoyoError, match=f"squawk did not answer as it should: {words}"):
        lint("SELECT 1;")
