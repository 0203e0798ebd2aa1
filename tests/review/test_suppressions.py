"""The comments that suppress findings: where they stand, what they cover, and the findings about those that are wrong."""

from pathlib import Path

import pytest

from pgyoyo.migrations import reader
from pgyoyo.review import suppressions
from pgyoyo.review.rulebook import rulebook
from pgyoyo.review.sheet import Finding
from pgyoyo.sql import parser

PATH = Path("0001_x.sql (as stored)")


def silenced(sql: str, *given: tuple[str, int | None], whole: bool = False) -> list[Finding]:
    """The findings, given as rule and statement, after the comments of the file."""
    file = reader.from_texts("0001_x", sql, None).apply
    findings = [Finding(rule, "error", PATH, 1, statement, "it happens") for rule, statement in given]
    return suppressions.suppressed(file, parser.parse(file.data), findings, whole=whole)


def reasons(sql: str, *statements_: int) -> list[str | None]:
    """The reasons that the comments give for a finding `check-scans` at each of these statements."""
    findings = silenced(sql, *(("check-scans", number) for number in statements_))
    return [finding.allowed for finding in findings if finding.rule == "check-scans"]


def faults(sql: str, *given: tuple[str, int | None]) -> list[tuple[str, int, int | None, str]]:
    """The findings about the comments themselves: rule, line, statement, words."""
    about = (finding for finding in silenced(sql, *given) if finding.rule.startswith("allow-"))
    return [(finding.rule, finding.line, finding.statement, finding.happens) for finding in about]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 0;\nSELECT 1; -- review: allow check-scans: small\nSELECT 2;",
        "SELECT 0;\n-- review: allow check-scans: small\nSELECT 1;\nSELECT 2;",
        "SELECT 0;\n\n-- A table of ten rows.\n-- review: allow check-scans: small\n\nSELECT 1;\nSELECT 2;",
        "SELECT 0;\nSELECT -- review: allow check-scans: small\n1;\nSELECT 2;",
        "SELECT 0;\nSELECT 1\n-- review: allow check-scans: small\n;\nSELECT 2;",
        "SELECT 0;\r\n--review:allow check-scans:small\r\nSELECT 1;\r\nSELECT 2;\r\n",
        "\ufeffSELECT 'ü';\nSELECT 'ü' /* ä */ -- review: allow check-scans: small\n, 'ö';\nSELECT 2;",
        "COPY t FROM stdin;\n1\n2\n\\.\nSELECT 1; -- review: allow check-scans: small\nSELECT 2;",
    ],
    ids=["behind", "above", "above with prose", "inside", "before the semicolon", "CRLF", "multi-byte", "after a COPY"],
)
def test_comment_covers_the_statement_that_it_stands_at_and_no_other(sql: str) -> None:
    assert reasons(sql, 1, 2, 3) == [None, "small", None]


def test_comment_behind_the_last_statement_is_about_that_one() -> None:
    assert reasons("SELECT 1;\nSELECT 2;\n-- review: allow check-scans: small\n", 1, 2) == [None, "small"]


def test_comment_in_the_header_covers_the_whole_file() -> None:
    sql = "-- Title.\n-- review: allow check-scans: at night\nSELECT 1;\nSELECT 2;"
    assert reasons(sql, 1, 2) == ["at night", "at night"]


def test_comment_in_a_rollback_file_covers_the_whole_file() -> None:
    sql = "SELECT 1;\nSELECT 2; -- review: allow rollback-differs: nobody reads the order"
    [finding] = silenced(sql, ("rollback-differs", None), whole=True)
    assert finding.allowed == "nobody reads the order"


def test_several_comments_cover_several_rules() -> None:
    sql = "SELECT 0;\n-- review: allow check-scans: small\n-- review: allow no-lock-timeout: at night\nSELECT 1;"
    findings = silenced(sql, ("check-scans", 2), ("no-lock-timeout", 2), ("table-rewrite", 2))
    assert [finding.allowed for finding in findings] == ["small", "at night", None]


def test_finding_of_squawk_is_silenced_by_its_name() -> None:
    [finding] = silenced(
        "SELECT 0;\n-- review: allow squawk:ban-drop-column: unused\nSELECT 1;", ("squawk:ban-drop-column", 2)
    )
    assert finding.allowed == "unused"


@pytest.mark.parametrize(
    "text",
    [
        "'-- review: allow check-scans: small'",
        "E'\\'-- review: allow check-scans: small'",
        "$$\n-- review: allow check-scans: small\n$$",
        "$x$ $$ -- review: allow check-scans: small\n$x$",
        'a AS "-- review: allow check-scans: small"',
        "1 /* -- review: allow check-scans: small */",
        "1 /*\n-- review: allow check-scans: small\n*/",
    ],
    ids=["string", "escapes", "body", "tagged body", "name", "block comment", "lines of a block comment"],
)
@pytest.mark.parametrize("place", ["SELECT 0;\nSELECT {};", "SELECT 0;\nSELECT 1; /* /* */ {} */\nSELECT 2;"])
def test_words_in_a_string_or_a_body_or_a_block_comment_are_no_comment(text: str, place: str) -> None:
    assert reasons(place.format(text), 2) == [None]
    assert faults(place.format(text), ("check-scans", 2)) == []


def test_data_of_a_copy_is_no_comment() -> None:
    sql = "COPY t FROM stdin;\n-- review: allow check-scans: small\n\\.\nSELECT 1;"
    assert reasons(sql, 1, 2) == [None, None]
    assert faults(sql, ("check-scans", 1)) == []


def test_statement_without_an_end_has_no_comments() -> None:
    assert reasons("SELECT 0;\nSELECT 'open -- review: allow check-scans: small", 2) == [None]


def test_rule_that_is_not_there_is_told_with_the_one_that_was_meant() -> None:
    reported = faults("SELECT 0;\n-- review: allow check-scan: small\nSELECT 1;", ("check-scans", 2))
    assert reported == [("allow-is-wrong", 2, 2, 'there is no rule "check-scan"; did you mean check-scans?')]
    [(_, _, _, words)] = faults("-- review: allow sorcery: small\nSELECT 1;")
    assert words == 'there is no rule "sorcery"; pgyoyo review --rules lists them'


@pytest.mark.parametrize(
    "words",
    ["allow check-scans", "allow check-scans:", "allow check-scans:  ", "allow: small", "check-scans: small", ""],
)
def test_comment_without_rule_or_reason_silences_nothing_and_is_told(words: str) -> None:
    sql = f"SELECT 0;\nSELECT 1; -- review: {words}"
    assert reasons(sql, 2) == [None]
    [(rule, line, statement, words)] = faults(sql, ("check-scans", 2))
    assert (rule, line, statement) == ("allow-is-wrong", 2, 2)
    assert words.endswith("write: -- review: allow RULE: reason")


def test_comment_that_silences_nothing_is_told_as_a_note() -> None:
    sql = "SELECT 0;\nSELECT 1; -- review: allow check-scans: small"
    assert faults(sql, ("check-scans", 1)) == [("allow-is-unused", 2, 2, "there is no check-scans finding here")]
    assert rulebook()["allow-is-unused"].severity == "note"


def test_long_file_with_a_comment_is_read_once() -> None:
    rows = "\n".join(f"INSERT INTO t VALUES ({number}, 'row -- {number}');" for number in range(5_000))
    assert reasons(f"{rows}\n-- review: allow check-scans: small\nSELECT 1;", 1, 5_001) == [None, "small"]


@pytest.mark.parametrize(
    "rule", ["statement-fails", "enum-value-used-at-once", "defect", "rollback-fails", "reapply-fails"]
)
def test_error_of_the_server_is_not_suppressed(rule: str) -> None:
    assert rule in rulebook()
    sql = f"-- review: allow {rule}: it is meant\nSELECT 1;"
    error, comment = silenced(sql, (rule, 1), whole=True)
    assert (error.rule, error.allowed) == (rule, None)
    assert (comment.rule, comment.line) == ("allow-is-wrong", 1)
    assert "the server rejects the statement" in comment.happens
