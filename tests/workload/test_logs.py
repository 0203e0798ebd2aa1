"""Logs as servers leave them: cut off, packed, rotated, with errors, of syslog, in another language."""

import gzip
import json
from pathlib import Path

import pytest

from pgyoyo.errors import UsageError
from pgyoyo.workload import logs
from pgyoyo.workload.statements import Query

SELECT = Query("SELECT id\nFROM a -- LOG:  x", calls=1)
INSERT = Query("INSERT INTO a VALUES ('secret')")
STDERR = """\
the end of a message whose beginning is in another file
2026-01-01 10:00:00.001 CET [7] app@shop LOG:  duration: 0.123 ms  statement: SELECT id
\tFROM a -- LOG:  x
2026-01-01 10:00:00.001 CET [7] app@shop LOG:  duration: 0.123 ms
2026-01-01 10:00:00.001 CET [7] app@shop LOG:  duration: 0.1 ms  bind s1: SELECT bound FROM a
2026-01-01 10:00:00.001 CET [7] app@shop ERROR:  duplicate key value violates unique constraint "x"
2026-01-01 10:00:00.001 CET [7] app@shop DETAIL:  Key (email)=(secret) already exists.
2026-01-01 10:00:00.001 CET [7] app@shop STATEMENT:  INSERT INTO a VALUES ('secret')
2026-01-01 10:00:00.001 CET [7] app@shop ERROR:  syntax error at or near "x" at character 1
2026-01-01 10:00:00.001 CET [7] app@shop STATEMENT:  x
2026-01-01 10:00:00.001 CET [7] app@shop LOG:  checkpoint starting: time
"""
FIELDS = ("error_severity", "message", "detail", "statement", "dbname", "application_name")
ENTRIES = (
    ("LOG", "statement: SELECT id\nFROM a -- LOG:  x", "", "", "shop", "app"),
    ("LOG", "statement: DELETE FROM a", "", "", "shop", "pgyoyo watch"),
    ("LOG", "execute p1: SELECT n FROM a WHERE id = $1", "Parameters: $1 = '7'", "", "shop", "app"),
    ("LOG", "execute fetch from p1/c1: SELECT n FROM a WHERE id = $1", "", "", "shop", "app"),
    ("LOG", "statement: prepare p AS SELECT 1", "", "", "shop", "app"),
    ("LOG", "statement: EXECUTE p", "prepare: prepare p AS SELECT 1", "", "shop", "app"),
    ("ERROR", "null value in column", "", "INSERT INTO a VALUES ('secret')", "shop", "app"),
    ("ERROR", 'syntax error at or near "x"', "", "x", "shop", "app"),
)
OF_ENTRIES = [
    SELECT,
    Query("SELECT n FROM a WHERE id = $1", calls=1),
    Query("SELECT n FROM a WHERE id = $1", calls=0),
    Query("prepare p AS SELECT 1", calls=0),
    Query("prepare p AS SELECT 1", calls=1),
    INSERT,
]


def jsonlog() -> str:
    return "".join(json.dumps(dict(zip(FIELDS, entry, strict=True))) + "\n" for entry in ENTRIES)


def csvlog() -> str:
    def row(level: str, message: str, detail: str, statement: str, database: str, application: str) -> str:
        texts = [f'"{value}"' if value else "" for value in (message.replace('"', '""'), detail, *[""] * 4, statement)]
        start = f'2026-01-01 10:00:00.001 CET,"u","{database}",7,"[local]",x,1,"SELECT",2026-01-01 10:00:00 CET,3/4,0'
        return f'{start},{level},42601,{",".join(texts)},,,"{application}","client backend",,0\n'

    return "".join(row(*entry) for entry in ENTRIES)


def read(path: Path, content: bytes) -> list[Query]:
    path.write_bytes(content)
    return list(logs.queries(path))


@pytest.mark.parametrize("text", [jsonlog(), csvlog()], ids=["jsonlog", "csvlog"])
def test_what_failed_was_prepared_or_fetched_counts_for_what_it_is(tmp_path: Path, text: str) -> None:
    assert read(tmp_path / "log", text.encode()) == OF_ENTRIES
    # The server is still writing, or the beginning is in an older file.
    cut = text.encode()
    assert read(tmp_path / "log", cut[:-30])[:5] == OF_ENTRIES[:5]
    assert read(tmp_path / "log", cut[cut.index(b" id") :]) == OF_ENTRIES[1:]
    assert read(tmp_path / "log", gzip.compress(cut)) == OF_ENTRIES


def test_stderr_of_any_prefix_and_a_folder_of_files_of_several_kinds(tmp_path: Path) -> None:
    assert read(tmp_path / "a.log", STDERR.encode()) == [SELECT, INSERT]
    prefixes = STDERR.replace("2026-01-01 10:00:00.001 CET [7] app@shop", "10.0.0.1(5432):app@shop:[7]:app=a b,%")
    (tmp_path / "b.log.1.gz").write_bytes(gzip.compress(prefixes.encode()))
    (tmp_path / "c.log").write_text("hello\n")
    (tmp_path / "d.json").write_bytes(jsonlog().encode())
    assert list(logs.queries(tmp_path)) == [SELECT, INSERT] * 2 + OF_ENTRIES


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"2026-01-01 CET [7] LOG:  Anweisung: SELECT 1\n", "English log messages.* lc_messages = 'C'"),
        (b"<13>Jan  1 10:00:00 host postgres[123]: [5-1] 2026 LOG:  statement: SELECT 1\n", "syslog cuts statements"),
        (gzip.compress(STDERR.encode())[:60], "gzip file is cut off"),
        (jsonlog().encode() + b"{no\n" + jsonlog().encode(), r"log:9: not valid JSON"),
        (b"", "holds no statement"),
    ],
    ids=["another language", "syslog", "gzip", "damaged", "empty"],
)
def test_what_is_no_log_of_statements_says_why(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=f"(?s){words}"):
        read(tmp_path / "log", content)
