"""The file of statements: written, read back, and every defect in one report."""

from pathlib import Path

import pytest

from pgyoyo.errors import DefectsError, UsageError
from pgyoyo.workload import statements
from pgyoyo.workload.statements import Query

QUERIES = [
    Query("SELECT id, language\nFROM cj_batch_uploads\nWHERE id = $1", "find_upload", 12),
    Query("insert into é (\"a;b\") values ($1, 'it''s; -- no end')"),
    Query("CALL close_batch($1)", "", 0),
    Query("WITH a AS (SELECT 1) UPDATE t SET x = y FROM a", "two, names"),
]


def read(folder: Path, text: str) -> list[Query]:
    path = folder / "queries.sql"
    path.write_bytes(text.encode())
    return statements.read(path)


def test_what_was_written_is_read_back_in_an_order_of_its_own(tmp_path: Path) -> None:
    text = statements.written(QUERIES)
    assert text == statements.written(reversed(QUERIES))
    queries = read(tmp_path, text)
    assert sorted(queries, key=str) == sorted(QUERIES, key=str)
    assert read(tmp_path, "\ufeff" + text.replace("\n", "\r\n")) == [
        Query(q.text.replace("\n", "\r\n"), q.name, q.calls) for q in queries
    ]
    assert read(tmp_path, "") == []


def test_many_calls_are_rounded_so_that_the_file_stays_as_it_is() -> None:
    counts = [0, 7, 999, 1234, 1_999_999]
    text = statements.written(Query(f"SELECT {n} FROM t", calls=calls) for n, calls in enumerate(counts))
    assert [line for line in text.splitlines() if "calls" in line] == [
        f"-- calls: {calls}" for calls in (0, 7, 999, 1230, 2_000_000)
    ]


DEFECTS = """\
-- calls: many
SELECT 1 FROM a;
-- nmae: x
SELECT 2 FROM a;
SELECT é FROM a
WHERE id = :id;
DROP TABLE a;
SELECT 'still read' FROM a
"""


def test_every_defect_stands_in_one_report_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DefectsError) as error:
        read(tmp_path, DEFECTS)
    assert str(error.value).replace(f"{tmp_path}/", "").splitlines() == [
        'queries.sql:1: "calls" is "many"; it must be a whole number, 0 or more',
        'queries.sql:3: unknown line "-- nmae:"; did you mean name?',
        'queries.sql:6: syntax error at or near ":"; write it as PostgreSQL takes it, with $1 for parameters',
        "queries.sql:7: this neither reads nor writes rows as an application does; remove it",
    ]


def test_what_hands_a_statement_on_is_read_as_the_one_on_rows_and_no_data_follows_a_copy(tmp_path: Path) -> None:
    text = (
        "-- name: load\nCOPY a (x, y) FROM STDIN WITH (FORMAT csv);\n-- name: dump\nCOPY a TO STDOUT;\n"
        "PREPARE p AS SELECT x FROM a;\nDECLARE c CURSOR FOR SELECT y FROM a;\nSELECT 'C:\\' FROM a;\n"
    )
    assert [(query.name, query.text) for query in read(tmp_path, text)] == [
        ("load", "INSERT INTO a (x, y) VALUES ($1, $2)"), ("dump", "SELECT * FROM a"), ("", "SELECT x FROM a"),
        ("", "SELECT y FROM a"), ("", "SELECT 'C:\\' FROM a"),
    ]  # fmt: skip
    with pytest.raises(
        DefectsError, match=r"queries\.sql:1: COPY names no columns, .* list them: COPY t \(a, b\) FROM STDIN"
    ):
        read(tmp_path, "COPY a FROM STDIN;\nSELECT 1 FROM a;\n")


@pytest.mark.parametrize(("content", "words"), [(None, "No such file"), (b"\xff", "not UTF-8")])
def test_a_file_that_can_not_be_read_says_why(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "queries.sql"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UsageError, match=words):
        statements.read(path)


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 'open",
        "/* open",
        "SELECT 1;\\x",
        "COPY a FROM stdin;\n1\n\\.\n",
        "SELECT " + "1+" * 40_000 + "1",
    ],
)
def test_what_no_application_sends_is_a_defect_with_a_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(DefectsError, match=r"queries\.sql:1: "):
        read(tmp_path, text)
