"""The comments that silence findings: where they may stand, what they cover, and what is said of wrong ones."""

from pathlib import Path

import pytest

from pgyoyo import allowances, migration, statements
from pgyoyo.migration import File
from pgyoyo.sheet import ERROR, Finding

ALLOW = "-- review: allow check-scans: it is small\n"


@pytest.fixture
def silenced(tmp_path: Path):
    """The findings of a file that has one of the rule at each statement, after its comments were read."""

    def silenced(text: str, rule: str = "check-scans", *, whole: bool = False) -> list[Finding]:
        path = tmp_path / "0001_x.sql"
        path.write_bytes(text.encode())
        file: File = migration.read_one(path).apply
        script = statements.parse(file.data)
        found = [
            Finding(rule, ERROR, path, script.line(one.start), number, "it scans")
            for number, one in enumerate(script.statements, start=1)
        ]
        return allowances.silenced(file, script, found, whole=whole)

    return silenced


def reasons(found: list[Finding]) -> list[str | None]:
    return [one.allowed for one in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{ALLOW}SELECT 1;\nSELECT 2;", ["it is small", "it is small"]),
        (f"SELECT 1;\n{ALLOW}SELECT 2;\nSELECT 3;", [None, "it is small", None]),
        (f"SELECT 1; {ALLOW}SELECT 2;", ["it is small", None]),
        (f"SELECT 1,\n  {ALLOW}  2;\nSELECT 2;", ["it is small", None]),
        (f"SELECT 1;\nSELECT 2;\n{ALLOW}", [None, "it is small"]),
        (f"SELECT 'ä', 1;\n{ALLOW}SELECT 'ö';\nSELECT 3;", [None, "it is small", None]),
        (f"SELECT 1;\nCOPY t FROM stdin;\n1\n\\.\n{ALLOW}SELECT 2;", [None, None, "it is small"]),
        (f"SELECT 1;\r\n{ALLOW.strip()}\r\nSELECT 2;\r\n", [None, "it is small"]),
    ],
    ids=["header", "above", "behind", "inside", "at the end", "multi-byte", "after COPY", "CRLF"],
)
def test_comment_covers_the_statement_that_it_stands_beside(silenced, text: str, expected: list[str | None]) -> None:
    assert reasons(silenced(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        f"SELECT 1;\nSELECT '\n{ALLOW}';",
        f"SELECT 1;\nDO $$ BEGIN\n{ALLOW}END $$;",
        f"SELECT 1;\n/*\n{ALLOW}*/ SELECT 2;",
        f'SELECT 1;\nSELECT 1 AS "\n{ALLOW}";',
        f"SELECT 1;\nCOPY t FROM stdin;\n{ALLOW}\\.\n",
    ],
    ids=["string", "dollar quotes", "block comment", "name", "data of a COPY"],
)
def test_what_is_no_comment_silences_nothing(silenced, text: str) -> None:
    assert [(one.rule, one.allowed) for one in silenced(text)] == [("check-scans", None)] * 2


@pytest.mark.parametrize(
    ("comment", "words"),
    [
        ("-- review: allow check-scan: small", 'there is no rule "check-scan"; did you mean check-scans?'),
        ("-- review: allow zebra: small", 'there is no rule "zebra"; pgyoyo review --rules lists them'),
        ("-- review: allow check-scans", '"review: allow check-scans" is none; write: -- review: allow RULE: reason'),
        ("-- review: allow check-scans:  ", '"review: allow check-scans:" is none'),
        ("-- review: ok", '"review: ok" is none'),
    ],
)
def test_wrong_comment_is_told_at_its_line_and_silences_nothing(silenced, comment: str, words: str) -> None:
    one, fault = silenced(f"\n{comment}\nSELECT 1;")
    assert one.allowed is None
    assert (fault.rule, fault.line) == ("allow-is-wrong", 2)
    assert words in fault.happens


def test_comment_that_silences_nothing_is_told(silenced) -> None:
    one, unused = silenced("SELECT 1;\n-- review: allow truncate: nobody reads it\nSELECT 2;")[1:]
    assert one.allowed is None
    assert (unused.rule, unused.line, unused.severity) == ("allow-is-unused", 2, "note")


def test_rules_of_squawk_are_silenced_by_their_name(silenced) -> None:
    text = "-- review: allow squawk:ban-drop-column: nobody reads it\nSELECT 1;"
    assert reasons(silenced(text, "squawk:ban-drop-column")) == ["nobody reads it"]


def test_comment_in_a_rollback_file_is_for_all_of_it(silenced) -> None:
    assert reasons(silenced(f"SELECT 1;\n{ALLOW}SELECT 2;", whole=True)) == ["it is small"] * 2
