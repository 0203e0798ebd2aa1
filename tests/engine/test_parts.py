"""One file means what psql makes of it, which sends statement by statement: files are sent in parts where that matters."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from pgyoyo.server.postgres import EmbeddedServer

OFF = "SET standard_conforming_strings = off;\n"
LATIN = "SET client_encoding = 'LATIN1';\n"
AUDIT = """CREATE TABLE audit (query text, at text);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO public.audit VALUES (current_query(), statement_timestamp()); RETURN NULL; END $$;
CREATE TRIGGER audit AFTER INSERT ON n FOR EACH ROW EXECUTE FUNCTION audit();
"""


def insert(*values: str) -> str:
    return "".join(f"INSERT INTO public.n VALUES ({value});\n" for value in values)


TEXTS = [
    OFF + insert(r"'one\ntwo'"),
    OFF + insert(r"'it\'s', DEFAULT); INSERT INTO public.n VALUES ('x'") + insert(r"E'\\', $$\n$$"),
    insert(r"'a\nb'") + OFF + insert(r"'a\nb'") + "RESET standard_conforming_strings;\n" + insert(r"'a\nb'"),
    OFF + "SET standard_conforming_strings = on;" + insert(r"'a\nb'"),
    "SELECT set_config('standard_conforming_strings', 'off', true);" + insert(r"'a\nb'"),
    "SAVEPOINT a;" + OFF + insert(r"'a\nb'") + "ROLLBACK TO a;" + insert(r"'a\nb'"),
    OFF + "SAVEPOINT a; SET standard_conforming_strings = on; ROLLBACK WORK TO SAVEPOINT A;" + insert(r"'it\'s'"),
    "DO $$ BEGIN SET standard_conforming_strings = off; RESET standard_conforming_strings; END $$;" + insert(r"'a\nb'"),
    "SET LOCAL backslash_quote = on;" + insert(r"E'it\'s'"),
    OFF + "DO $do$ BEGIN " + insert(r"'a\nb'") + "END $do$;",
    "SET escape_string_warning = off; " + OFF + insert(r"'a\tb'"),
    OFF + "COPY public.n (n) FROM stdin;\nit's\\\\ \\t\n\\.\n" + insert(r"'a\nb'"),
    "COPY public.n (n) FROM stdin;\na\n\\.\n" + OFF + "COPY public.n (n) FROM stdin;\nb\\nb\n\\.\n" + insert(r"'\''"),
    OFF + "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT ''a\\\\nb''::text';" + insert("f()"),
    LATIN + insert("'é'"),
    LATIN + insert("'é'") + "RESET client_encoding;" + insert("'é→'"),
    "SET NAMES 'LATIN1';" + insert("'ä'") + "-- →\nSET NAMES 'UTF8';" + insert("'→'"),
    "SET client_encoding = 'UTF8';" + insert("'→'"),
    insert("current_query()", "'→'", "  current_query()  "),
    insert("'x'") + "/* a */ SELECT 1;" + AUDIT + insert("'y'", "'z'"),
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_file_means_what_psql_makes_of_it(
    text: str, new_database: Callable[[], str], run_here: Callable, tmp_path: Path
) -> None:
    rows = []
    (tmp_path / "sql").mkdir()
    path = tmp_path / "sql/0001_a.sql"
    path.write_text(text, encoding="utf-8")
    for database in (new_database(), new_database()):
        with psycopg.connect(database, autocommit=True) as conn:
            conn.execute("CREATE TABLE n (n text, m text)")
            if rows:
                done = run_here("apply", "--database", database, "--migrations", tmp_path / "sql")
                assert done.code == 0, done.err
            else:
                command = [
                    EmbeddedServer(Path(), version=18).binary("psql"),
                    "-Xq1",
                    "-v",
                    "ON_ERROR_STOP=1",
                    "-d",
                    database,
                    "-f",
                    path,
                ]
                clean = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
                subprocess.run(command, check=True, capture_output=True, env=clean | {"PGCLIENTENCODING": "UTF8"})
            tables = ["SELECT * FROM n"] + ["SELECT query FROM audit"] * ("audit" in text)
            rows.append([conn.execute(table.encode()).fetchall() for table in tables])
    assert rows[0] == rows[1]


def test_one_time_for_each_statement_that_looks_at_its_message(conn, run_here, database, tmp_path) -> None:
    (tmp_path / "sql").mkdir()
    texts = {"0001_n": "CREATE TABLE n (n text);" + AUDIT, "0002_n": insert("'x'", "'y'", "'z'")}
    for number, (name, text) in enumerate(texts.items(), start=1):
        (tmp_path / f"sql/{name}.sql").write_text(text)
        if number == 1:  # the second run finds the trigger in the database
            assert run_here("apply", "--database", database, "--migrations", tmp_path / "sql").code == 0
    assert run_here("apply", "--database", database, "--migrations", tmp_path / "sql").code == 0
    audited = conn.execute("SELECT query, at FROM audit").fetchall()
    assert [query for query, _ in audited] == [f"INSERT INTO public.n VALUES ('{n}');" for n in "xyz"]
    assert len({at for _, at in audited}) == 3


STRINGS, ENCODING = "standard_conforming_strings", "client_encoding"
ALONE = "-- transactional: false\n"
BACKSLASH, ACCENT = r"'it\''); COMMIT; --'", "'é'"
# A header, a statement that changes a setting as the file doesn't show, and a value that means something else behind it.
OTHERWISE = [
    ("", f"DO $$ BEGIN SET {STRINGS} = off; END $$;", BACKSLASH, STRINGS),
    ("", f"SELECT set_config('{STRINGS[:20]}' || '{STRINGS[20:]}', 'off', false);", BACKSLASH, STRINGS),
    ("", "SELECT strings();", BACKSLASH, STRINGS),
    ("", "SELECT letters();", ACCENT, ENCODING),
    (ALONE, "SELECT strings();", BACKSLASH, STRINGS),
    (ALONE, "BEGIN; SELECT strings(); COMMIT;", BACKSLASH, STRINGS),
    (ALONE, f"DO $$ BEGIN SET {STRINGS} = off; COMMIT; END $$;", BACKSLASH, STRINGS),
    (ALONE, "SELECT letters();", ACCENT, ENCODING),
    (ALONE, "SELECT letters() AS usernames, 1 AS encodings;", ACCENT, ENCODING),
]  # fmt: skip


def test_text_that_the_server_would_read_otherwise_is_not_sent(
    conn: psycopg.Connection, run_here: Callable, database: str, tmp_path: Path
) -> None:
    conn.execute("CREATE TABLE n (n text)")
    for name, setting, value in (("strings", STRINGS, "off"), ("letters", ENCODING, "LATIN1")):
        conn.execute(
            f"CREATE FUNCTION {name}() RETURNS text LANGUAGE sql AS $$ SELECT set_config('{setting}', '{value}', false) $$"
        )
    for number, (header, statement, value, setting) in enumerate(OTHERWISE, start=1):
        folder = tmp_path / f"sql{number}"
        folder.mkdir()
        options = ("--database", database, "--migrations", folder)
        harmless = insert("'x'")
        # A statement between shows that it is not the one before which is blamed.
        (folder / f"{number:04}_a.sql").write_text(f"{header}{harmless}{statement}\n{harmless}{insert(value)}")
        done = run_here("apply", *options)
        line = 3 if header else 2
        assert (done.code, f"_a.sql:{line}: in " in done.err) == (1, True), done.err
        assert f"It changes {setting} in code" in done.err
        # No other session can go on behind what is done.
        by_hand = f"in one session with what it needs, and record it: pgyoyo mark {number:04}_a, then run: pgyoyo apply"
        assert (by_hand in done.err, "resumes there" in done.err) == (bool(header), False)
        assert conn.execute("SELECT count(*) FROM n WHERE n <> 'x'").fetchone() == (0,)
        assert conn.execute("SELECT count(*) FROM _yoyo_migration").fetchone() == (0,)
        # Where nothing behind it is read otherwise, it may.
        (folder / f"{number:04}_a.sql").write_text(f"{header}{harmless}{statement}\n{harmless}")
        conn.execute("DELETE FROM _pgyoyo_journal")
        assert run_here("apply", *options).code == 0
        conn.execute("DELETE FROM _yoyo_migration")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (OFF + insert(r"'a\nb'", r"'é\n', nothing"), "3:37"),
        ("/* → */ SELECT current_query();\n-- →\n  SELECT '→', nothing; SELECT 2;", "3:15"),
        (OFF + insert(r"'a\nb'") + "SELECT '→', 1/0;", "3"),
        (OFF + insert(r"'a\nb'") + "RESET ALL;\nSELECT '→'\n", "4:"),
        ("SELECT current_query();\nSELECT 'it;\n", "2:8"),
        ("SELECT current_query();\nCREATE TABLE b (\n", "2:"),
    ],
)
def test_error_in_a_part_is_in_its_place_and_nothing_is_left(
    text: str, place: str, conn: psycopg.Connection, run_here: Callable, database: str, tmp_path: Path
) -> None:
    conn.execute("CREATE TABLE n (n text, m text)")
    (tmp_path / "sql").mkdir()
    fails = "DO $$ BEGIN RAISE 'this one'; END $$;" if place == "4:" else ""
    (tmp_path / "sql/0001_a.sql").write_text(text.replace("SELECT '→'\n", fails), encoding="utf-8")
    done = run_here("apply", "--database", database, "--migrations", tmp_path / "sql")
    assert (done.code, f"0001_a.sql:{place}" in done.err) == (1, True), done.err
    assert "0001_a failed and was rolled back" in done.err
    assert conn.execute("SELECT count(*) FROM n").fetchone() == (0,)
    assert conn.execute("SELECT count(*) FROM _yoyo_migration").fetchone() == (0,)
