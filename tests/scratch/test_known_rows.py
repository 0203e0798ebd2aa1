"""A copy of a database is filled with the rows that the first one took, in one statement a table; the rows are the same."""

import psycopg

from pgyoyo.catalog import rows
from pgyoyo.scratch import samples
from pgyoyo.scratch.known_rows import KnownRows

TABLES = """
CREATE DOMAIN positive AS numeric(8,2) CHECK (VALUE > 1);
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE FUNCTION fits(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 <> ''''';
CREATE TABLE a (id uuid DEFAULT '00000000-0000-4000-8000-000000000009' PRIMARY KEY,
  name text NOT NULL CHECK (fits(name)), m mood);
CREATE TABLE b (a_id uuid NOT NULL REFERENCES a UNIQUE, price positive, n integer CHECK (n BETWEEN 5 AND 9));
CREATE TABLE c (id integer PRIMARY KEY, parent integer REFERENCES c, name text);
"""


class Counted(psycopg.Cursor):
    """Counts INSERT statements by their tables."""

    inserts: list[str]

    def execute(self, query, *args, **kwargs):
        text = query if isinstance(query, str) else bytes(query).decode()
        self.inserts += [text.split()[2]] if text.startswith("INSERT") else []
        return super().execute(query, *args, **kwargs)


def filled(conn: psycopg.Connection, known: dict[str, KnownRows], **options) -> tuple[list[str], dict]:
    """The tables of the INSERTs that filling all tables again took, and what they hold then."""
    conn.execute("TRUNCATE a, b, c")
    Counted.inserts = []
    conn.cursor_factory = Counted
    samples.fill(conn, {}, known=known, **options)
    return Counted.inserts, rows.rows(conn)


def test_rows_that_were_taken_are_written_at_once(conn: psycopg.Connection) -> None:
    conn.execute(TABLES)
    known: dict[str, KnownRows] = {}
    first, held = filled(conn, known)
    again, same = filled(conn, known)
    assert first.count("public.b") > 5
    assert held == same
    assert [again.count(f"public.{name}") for name in "ab"] == [1, 1]
    assert again.count("public.c") == first.count("public.c"), "a table that points to itself is filled row by row"
    sparse, _ = filled(conn, known, sparse=True)
    assert sparse.count("public.b") > 1, "other rows are found out anew"


def test_rows_are_found_out_anew_where_the_answer_may_be_another(conn: psycopg.Connection) -> None:
    conn.execute(TABLES)
    known: dict[str, KnownRows] = {}
    filled(conn, known)
    for change in (
        "CREATE OR REPLACE FUNCTION fits(text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'",
        "ALTER DOMAIN positive ADD CHECK (VALUE < 100)",
        "ALTER TYPE mood ADD VALUE 'mad'",
        "ALTER TABLE b ADD COLUMN z integer CHECK (z > 0)",
        "CREATE RULE no AS ON INSERT TO b WHERE new.n = 7 DO INSTEAD NOTHING",
    ):
        conn.execute(f"TRUNCATE a, b, c; {change}".encode())
        inserts, held = filled(conn, known)
        assert inserts.count("public.b") > 1, change
        assert filled(conn, {})[1] == held, change


def test_rows_that_are_refused_in_a_copy_are_found_out_there(conn: psycopg.Connection) -> None:
    conn.execute(TABLES)
    known: dict[str, KnownRows] = {}
    filled(conn, known)
    for taken in known.values():
        taken.rows = [[part._replace(values=("x",)) if part.of is None else part for part in row] for row in taken.rows]
    inserts, held = filled(conn, known)
    assert inserts.count("public.b") > 5
    assert held == filled(conn, {})[1]
