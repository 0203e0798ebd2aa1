"""What a review asks of the database itself: the rows that a statement would meet, and the state of its tables now."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import sheets
import staging
from conftest import Owner
from pgyoyo.catalog.snapshot import Change
from pgyoyo.review import live_checks
from pgyoyo.review.sheet import LiveTable, ObservedStatement, Review, Sheet

SCHEMA = """
CREATE DOMAIN label AS text;
CREATE TABLE parent (id integer PRIMARY KEY, code text UNIQUE, name label UNIQUE);
CREATE TABLE "Child" (
  id bigint, parent integer, code text, second text, kind text, price numeric(8,2), ratio float8, note varchar(20), n integer,
  short varchar(3), filled integer NOT NULL, name label,
  CONSTRAINT old_fkey FOREIGN KEY (parent) REFERENCES parent, CONSTRAINT old_check CHECK (n > 0)
);
ALTER TABLE "Child" DROP CONSTRAINT old_fkey, DROP CONSTRAINT old_check;
INSERT INTO parent VALUES (1, 'a', 'Ann'), (2, 'b', 'Bob');
INSERT INTO "Child" SELECT 1, 1, 'a', 'a', 'x', 1, 1, 'short', 1, 'a', 1, 'ann';
INSERT INTO "Child" SELECT 3000000000, 7, NULL, 'b', 'X', 123456.78, 1e30, 'longer than that', -1, 'b', 2, 'ann';
INSERT INTO "Child" SELECT 3, NULL, 'b', 'b', 'y', 5, 'NaN', '17', 2, 'c', 3, 'bob';
ALTER TABLE "Child" ADD CONSTRAINT old_fkey FOREIGN KEY (parent) REFERENCES parent NOT VALID,
  ADD CONSTRAINT old_check CHECK (n > 0) NOT VALID;
CREATE SCHEMA other;
CREATE TABLE other.child (a integer);
INSERT INTO other.child VALUES (NULL), (NULL);
"""
T = 'ALTER TABLE "Child" '
# The statement, and what is found: a part of its words, or None for nothing.
CASES = [
    (T + "ALTER code SET NOT NULL", "1 row of the database now: NULL in Child.code"),
    (T + "ALTER second SET NOT NULL", None),
    (T + "ALTER filled SET NOT NULL", None),
    (T + "ALTER new SET NOT NULL", None),
    ("ALTER TABLE other.child ALTER a SET NOT NULL", "2 rows of the database now: NULL in other.child.a"),
    ("ALTER TABLE nowhere ALTER a SET NOT NULL", None),
    (T + "ADD PRIMARY KEY (parent)", "NULL in Child.parent"),
    (T + "ADD UNIQUE (second)", "1 key of the database now: more than one row of Child with the same second"),
    (T + "ADD UNIQUE (code)", None),
    (T + "ADD UNIQUE (second, id)", None),
    ('CREATE UNIQUE INDEX ON "Child" (lower(kind))', "the same lower(kind)"),
    ('CREATE UNIQUE INDEX CONCURRENTLY ON "Child" (second) WHERE code IS NOT NULL', None),
    ('CREATE UNIQUE INDEX ON "Child" (name)', "the same name"),
    ('CREATE INDEX ON "Child" (second)', None),
    ('CREATE UNIQUE INDEX ON "Child" ((pg_sleep(100)))', None),
    ('CREATE UNIQUE INDEX ON "Child" (second) WHERE pg_terminate_backend(n)', None),
    (T + "ADD FOREIGN KEY (parent) REFERENCES parent", "Child.parent points to no row of parent"),
    (T + "ADD FOREIGN KEY (code) REFERENCES parent (code)", None),
    (T + "ADD FOREIGN KEY (second) REFERENCES parent (code)", None),
    (T + "ADD FOREIGN KEY (kind) REFERENCES parent (code)", "3 rows of the database now: Child.kind points to no row"),
    (T + "ADD FOREIGN KEY (parent) REFERENCES parent NOT VALID", "VALIDATE CONSTRAINT will fail for them"),
    (T + "ADD FOREIGN KEY (name) REFERENCES parent (name)", None),  # what = means for it is not known
    (T + "ADD FOREIGN KEY (parent, code) REFERENCES parent (id, code) MATCH FULL", "2 rows of the database now"),
    (T + "ADD FOREIGN KEY (parent, code) REFERENCES parent (id, code)", None),
    (T + "VALIDATE CONSTRAINT old_fkey", "Child.parent points to no row of parent"),
    (T + "VALIDATE CONSTRAINT old_check", "1 row of the database now: the CHECK of Child is false"),
    (T + "VALIDATE CONSTRAINT new_check", None),
    (T + "ADD CHECK (price < 1000 AND kind = lower(kind))", "the CHECK of Child is false"),
    (T + "ADD CHECK (n IN (-1, 1, 2) OR kind ~ '^[a-z]$')", None),
    (T + "ADD CHECK (pg_read_file('/etc/passwd') = kind)", None),
    (T + "ADD CHECK (other.f(n))", None),
    (T + "ALTER id TYPE integer", "a value of Child.id does not fit into the new type"),
    (T + "ALTER n TYPE bigint", None),
    (T + "ALTER n TYPE smallint", None),
    (T + "ALTER ratio TYPE integer", "2 rows of the database now"),
    (T + "ALTER price TYPE integer USING price::integer", None),
    (T + "ALTER price TYPE numeric(6,2)", "1 row of the database now: a value of Child.price"),
    (T + "ALTER price TYPE numeric(10,2)", None),
    (T + "ALTER n TYPE numeric(3,0)", None),
    (T + "ALTER note TYPE varchar(10)", "1 row of the database now: a value of Child.note"),
    (T + "ALTER note TYPE char(16)", None),
    (T + "ALTER short TYPE varchar(3)", None),
    (T + "ALTER note TYPE varchar(3) USING left(note, 3)", None),
    (T + "ADD PRIMARY KEY USING INDEX i", None),
    ("DROP TABLE parent", None),
    ("no SQL", None),
]


def review_of(*statements: str) -> Review:
    observed = (ObservedStatement(n, n, sql, "x") for n, sql in enumerate(statements, start=1))
    live = {'public."Child"': LiveTable(3, 8192, 0, 0, None, None)}
    return Review((Sheet("0001_x", sheets.path("0001_x"), "", True, tuple(observed), live=live),), "PostgreSQL")


def test_rows_that_statements_will_refuse_are_counted_and_no_others(conn: psycopg.Connection) -> None:
    conn.execute(SCHEMA)
    [sheet] = live_checks.with_live_checks(review_of(*(sql for sql, _ in CASES)), conn).sheets
    happens = {finding.statement: finding.happens for finding in sheet.findings}
    for number, (sql, words) in enumerate(CASES, start=1):
        assert (words is None) == (number not in happens), (sql, happens.get(number))
        assert (words or "") in happens.get(number, ""), sql
    by_sql = {CASES[finding.statement - 1][0]: finding.severity for finding in sheet.findings if finding.statement}
    assert by_sql.pop(T + "ADD FOREIGN KEY (parent) REFERENCES parent NOT VALID") == "note"
    assert set(by_sql.values()) == {"error"}
    assert sheet.live['public."Child"'].remarks == ("not validated already: old_check, old_fkey",)
    assert sheet.notes == (), "nothing was refused: the questions themselves are sound"
    code = f"DO $$ BEGIN {T}ALTER code SET NOT NULL; END $$"
    corrects = f"DO $$ BEGIN UPDATE \"Child\" SET code = ''; {T}ALTER code SET NOT NULL; END $$"
    ran = (Change("column", 'public."Child".code', "text", "text\nNOT NULL"),)
    for sql, changes, severities in ((code, (), []), (code, ran, ["error"]), (corrects, ran, ["note"])):
        [sheet] = review_of(sql).sheets
        sheet = replace(sheet, statements=(replace(sheet.statements[0], changes=changes),))
        [sheet] = live_checks.with_live_checks(Review((sheet,), "PostgreSQL"), conn).sheets
        assert [each.severity for each in sheet.findings] == severities, sql
    if conn.info.server_version >= 160000:
        [sheet] = live_checks.with_live_checks(
            review_of(T + "ALTER note TYPE integer USING note::integer"), conn
        ).sheets
        assert sheet.findings[0].happens.startswith("2 rows of the database now: a value of Child.note")


def test_what_an_earlier_statement_may_correct_is_a_note(conn: psycopg.Connection) -> None:
    conn.execute(SCHEMA)
    not_null = T + "ALTER code SET NOT NULL"
    for earlier, severity in (
        ('UPDATE "Child" SET code = 0 WHERE code IS NULL', "note"),
        ("DO $$ BEGIN NULL; END $$", "note"),
        ("UPDATE parent SET code = 0", "error"),
        ('ALTER TABLE "Child" ADD y integer', "error"),
    ):
        [sheet] = live_checks.with_live_checks(review_of(earlier, not_null), conn).sheets
        assert [finding.severity for finding in sheet.findings] == [severity], earlier


def test_question_that_the_role_may_not_ask_or_that_takes_too_long_is_named(
    conn: psycopg.Connection, owner: Owner, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    conn.execute(SCHEMA)
    many = review_of(T + "ALTER code SET NOT NULL", "ALTER TABLE parent ALTER code SET NOT NULL")
    conn.execute("ALTER TABLE parent ENABLE ROW LEVEL SECURITY")
    conn.execute(f"ALTER ROLE {owner.name} NOSUPERUSER; GRANT SELECT ON parent TO {owner.name}".encode())
    try:
        with psycopg.connect(make_conninfo(database, user=owner.name), autocommit=True) as limited:
            [sheet] = live_checks.with_live_checks(many, limited).sheets
    finally:
        conn.execute(f"REVOKE ALL ON parent FROM {owner.name}".encode())
    assert len(sheet.notes) == 2
    assert "permission denied" in sheet.notes[0]
    assert "row-level security" in sheet.notes[1]
    with psycopg.connect(database) as altering:
        altering.execute('LOCK TABLE "Child"')
        [sheet] = live_checks.with_live_checks(review_of(T + "ALTER code SET NOT NULL"), conn).sheets
    assert sheet.notes == ("not asked of the database: NULL in Child.code: the table is being altered",)
    monkeypatch.setattr(live_checks, "TIMEOUT", 50)
    conn.execute('INSERT INTO "Child" (second, filled) SELECT n, n FROM generate_series(1, 300000) AS n')
    [sheet] = live_checks.with_live_checks(review_of(T + "ADD UNIQUE (second)"), conn).sheets
    assert sheet.notes[0].endswith("it takes longer than 50 ms")
    assert sheet.findings == ()


def test_sheet_shows_rows_indexes_and_vacuums_of_the_target(
    conn: psycopg.Connection, database: str, tmp_path, run_here, server_conninfo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = ("CREATE TABLE people (id integer, name text);", "-- lossy: all\nDROP TABLE people;")
    strict = ("ALTER TABLE people ALTER name SET NOT NULL;", "ALTER TABLE people ALTER name DROP NOT NULL;")
    staging.write(tmp_path / "sql", {"0001_people": people, "0002_strict": strict})
    options = ["--migrations", "sql", "--database", database]
    assert run_here("apply", *options, "--to", "1").code == 0
    conn.execute("INSERT INTO people VALUES (1, 'secret'), (1, NULL), (2, NULL)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        conn.execute("CREATE UNIQUE INDEX CONCURRENTLY broken_idx ON people (id)")
    shown = run_here("review", *options, "--scratch", server_conninfo)
    assert shown.code == 1
    assert "live-rows-refused" in shown.out
    assert "2 rows of the database now: NULL in people.name" in shown.out
    assert "invalid already: broken_idx" in shown.out
    assert "secret" not in shown.out
    content = json.loads(run_here("review", *options, "--scratch", server_conninfo, "--format", "json").out)
    [migration] = content["migrations"]
    assert migration["live"]["public.people"]["remarks"] == ["invalid already: broken_idx"]
    assert [each["source"] for each in migration["findings"] if each["rule"] == live_checks.RULE] == ["live"]


def test_vacuum_that_works_on_a_table_stands_beside_its_size(conn: psycopg.Connection, database: str) -> None:
    conn.execute(SCHEMA)
    conn.execute('INSERT INTO "Child" (second, filled) SELECT n, n FROM generate_series(1, 20000) AS n')
    with psycopg.connect(database, autocommit=True) as other, ThreadPoolExecutor() as pool:
        other.execute("SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1")
        vacuum = pool.submit(other.execute, 'VACUUM "Child"')
        try:
            seen = None
            while not seen and not vacuum.done():
                [sheet] = live_checks.with_live_checks(review_of("SELECT 1"), conn).sheets
                seen = sheet.live['public."Child"'].running
        finally:
            other.cancel_safe()
        assert isinstance(vacuum.exception(), psycopg.errors.QueryCanceled)
    assert seen
    assert seen.startswith("a VACUUM works on it for ")


def test_vacuum_and_replicas_are_put_into_words() -> None:
    words = live_checks._vacuum_words
    assert words("scanning heap", 90.0, True, True) == (
        "an autovacuum works on it for 1 min 30 s, to prevent wraparound: it does not give way"
    )
    assert words("scanning heap", None, False, False) == "a VACUUM works on it (scanning heap)"
    replica = live_checks._replica_words
    assert replica("a", "streaming", 0, None) == "replica a is up to date"
    assert replica("a", "streaming", 5 << 20, 3.4) == "replica a is 5 MB, 3 s behind"
    assert replica("a", "catchup", 5 << 30, 100.0) == "replica a is in state catchup"
    assert replica("a", None, None, None) == "replica a: not visible to this role"
