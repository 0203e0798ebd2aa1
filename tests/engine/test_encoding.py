"""Text in any encoding of a database or a client: it is read, shown and stored, and never ends a run."""

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from psycopg import sql
from psycopg._encodings import pg2pyenc
from psycopg.conninfo import make_conninfo

from pgyoyo.engine import encoding
from pgyoyo.scratch import databases
from pgyoyo.sql import parser

# Those of the manual, section 23.3.1.
ENCODINGS = [
    "BIG5",
    "EUC_CN",
    "EUC_JP",
    "EUC_JIS_2004",
    "EUC_KR",
    "EUC_TW",
    "GB18030",
    "GBK",
    "ISO_8859_5",
    "ISO_8859_6",
    "ISO_8859_7",
    "ISO_8859_8",
    "JOHAB",
    "KOI8R",
    "KOI8U",
    "LATIN1",
    "LATIN2",
    "LATIN3",
    "LATIN4",
    "LATIN5",
    "LATIN6",
    "LATIN7",
    "LATIN8",
    "LATIN9",
    "LATIN10",
    "MULE_INTERNAL",
    "SJIS",
    "SHIFT_JIS_2004",
    "UHC",
    "UTF8",
    "WIN866",
    "WIN874",
    "WIN1250",
    "WIN1251",
    "WIN1252",
    "WIN1253",
    "WIN1254",
    "WIN1255",
    "WIN1256",
    "WIN1257",
    "WIN1258",
]


@pytest.fixture
def encoded(server_conninfo: str) -> Iterator[Callable[[str], str]]:
    """Makes a database in an encoding, and gives its conninfo."""
    names = []

    def encoded(name: str) -> str:
        names.append(f"encoded_{uuid.uuid4().hex[:12]}")
        databases.create(admin, names[-1], options=sql.SQL("ENCODING {} LOCALE 'C'").format(name))
        return make_conninfo(server_conninfo, dbname=names[-1])

    with psycopg.connect(server_conninfo, autocommit=True) as admin:
        yield encoded
        for name in names:
            databases.drop(admin, name)


@pytest.fixture
def apply(run_here: Callable, tmp_path: Path) -> Callable:
    """Runs a command on a folder of files, by name, and a database."""

    def apply(database: str, files: dict[str, str], command: str = "apply"):
        folder = tmp_path / "sql"
        folder.mkdir(exist_ok=True)
        for old in folder.iterdir():
            old.unlink()
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        return run_here(*command.split(), "--database", database, "--migrations", folder)

    return apply


@pytest.mark.parametrize("name", ENCODINGS)
def test_every_encoding_has_the_name_that_psycopg_gives_it(name: str) -> None:
    try:
        expected = pg2pyenc(name.encode())
    except psycopg.NotSupportedError:
        expected = None
    known = encoding.codec(name)
    assert known == expected or (known is not None and "é".encode(known, "replace") == "é".encode(expected, "replace"))


@pytest.mark.parametrize(
    "text",
    [
        "SET client_encoding = 'LATIN1'; SELECT 'é';",
        "SELECT set_config('client_encoding', 'LATIN1', false); SELECT 'é';",
        "DO $$ BEGIN SET client_encoding = 'LATIN1'; RAISE NOTICE '%', chr(233); END $$; SELECT chr(233);",
        "SET client_encoding = 'SJIS'; SELECT chr(12354);",
        "SET client_encoding = 'EUC_TW'; DO $$ BEGIN RAISE NOTICE '%', chr(19968); END $$; SELECT chr(19968);",
        "SET client_encoding = 'SQL_ASCII'; SELECT chr(233);",
    ],
)
def test_rows_and_notices_in_another_client_encoding_end_no_run(text: str, apply, conn, database: str) -> None:
    done = apply(database, {"0001_a.sql": text, "0002_b.sql": "CREATE TABLE b (); SELECT '→';"})
    assert (done.code, done.err) == (0, "")
    assert "→" in done.out
    assert conn.execute("SELECT count(*) FROM _yoyo_migration").fetchone() == (2,)


@pytest.mark.parametrize("name", ["LATIN1", "WIN1252", "SQL_ASCII", "EUC_JP", "EUC_TW"])
def test_database_of_any_encoding_takes_a_file_with_what_it_lacks_in_comments(name: str, encoded, apply) -> None:
    database = encoded(name)
    files = {
        "0001_a.sql": "-- ☃: a title\n\nCREATE TABLE a (); -- ☃ again\nCREATE TABLE b ();\n/* ☃ */",
        "0001_a.rollback.sql": "-- ☃\nDROP TABLE a, b;",
    }
    if name == "EUC_TW":  # Python doesn't have it
        files = {name: text.replace("☃", "") for name, text in files.items()}
    done = apply(database, files)
    assert (done.code, done.err) == (0, "")
    with psycopg.connect(database, autocommit=True, client_encoding="UTF8") as conn:
        text = conn.execute("SELECT apply_text::bytea FROM _pgyoyo_migration").fetchone()
        if name != "EUC_TW":
            assert bytes(text[0]).decode() == files["0001_a.sql"]
    edited = apply(database, files | {"0001_a.sql": files["0001_a.sql"] + "\n-- more"})
    assert edited.code == 4
    assert "+-- more" in edited.err
    assert edited.err.count("\n-") == 1
    # From what the ledger stored.
    back = apply(database, {"0002_b.sql": "SELECT 1;"}, "rollback --all --yes")
    assert back.code == 0, back.err
    with psycopg.connect(database, autocommit=True, client_encoding="UTF8") as conn:
        assert conn.execute("SELECT to_regclass('a'), to_regclass('b')").fetchone() == (None, None)


def test_character_that_the_database_lacks_is_shown_in_its_place(encoded, apply) -> None:
    database = encoded("LATIN1")
    done = apply(database, {"0001_a.sql": "-- ☃☃\nSELECT 'é';\nSELECT  '☃';", "0002_b.sql": "SELECT 1;"})
    assert done.code == 1
    assert "0001_a.sql:3:10:" in done.err
    assert "  3 | SELECT  '☃';\n               ^" in done.err
    assert 'The database\'s encoding does not have the character "☃" (U+2603)' in done.err
    assert "nothing is applied; 0001_a and 0002_b are pending" in done.err


def test_error_behind_a_replaced_character_is_shown_in_its_place(encoded, apply) -> None:
    done = apply(encoded("LATIN1"), {"0001_a.sql": "-- ☃☃\nSELECT 'é';/*☃*/ SELECT  nothing;"})
    assert done.code == 1
    assert "0001_a.sql:2:26:" in done.err
    assert 'column "nothing" does not exist' in done.err


def test_bytes_of_no_encoding_are_shown_as_escapes(encoded, apply) -> None:
    database = encoded("SQL_ASCII")
    text = (
        r"SELECT convert_from('\xe9', 'SQL_ASCII');"
        "\n"
        r"DO $$ BEGIN RAISE NOTICE '%', convert_from('\xe9', 'SQL_ASCII'); END $$;"
    )
    done = apply(database, {"0001_a.sql": text})
    assert (done.code, done.err) == (0, "")
    assert r"NOTICE: \xe9" in done.out
    failed = apply(database, {"0001_a.sql": text, "0002_b.sql": r"SELECT convert_from('\xe9', 'SQL_ASCII')::int;"})
    assert failed.code == 1
    assert "invalid input syntax for type integer" in failed.err


@given(st.text(st.sampled_from("a☃é;'\n-/*$ ")))
def test_fitting_text_keeps_its_statements_and_places(text: str) -> None:
    script = parser.parse(text.encode())
    fitted = encoding.fitting(script, "iso8859-1")
    assert len(fitted.sql) == len(script.sql)
    assert [fitted.text(one) for one in script.statements] == [script.text(one) for one in script.statements]


@given(st.text())
def test_stored_text_comes_back(text: str) -> None:
    assume(not text.startswith("\\"))  # psql's commands are refused
    for server in ("iso8859-1", None):
        assert encoding.from_stored(encoding.to_stored(text, server)) == text
