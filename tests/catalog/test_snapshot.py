"""The catalog as rows: complete by the measure of pg_dump, the same on every run, and what two of them differ in."""

import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from pgyoyo.catalog import query
from pgyoyo.catalog.changed import SnapshotReader
from pgyoyo.catalog.snapshot import PLANNING, SETTINGS, Change, Snapshot, difference, snapshot
from pgyoyo.server.postgres import EmbeddedServer

FOLDER = Path(__file__).parent
QUERY = Path(__file__).parents[2] / "tools" / "pgyoyo" / "catalog" / "catalog.sql"
# Each slice of the changes is one test, so that xdist shares them out.
SLICES = 4


def binary(name: str) -> str:
    # The newest: it reads from older servers too.
    return str(EmbeddedServer(Path(), version=18).binary(name))


def pg_dump(conninfo: str) -> str:
    done = subprocess.run([binary("pg_dump"), "-s", "-d", conninfo], capture_output=True, text=True, check=True)
    return re.sub(r"^\\(un)?restrict .*\n", "", done.stdout, flags=re.MULTILINE)


@pytest.fixture
def everything(conn: psycopg.Connection) -> psycopg.Connection:
    conn.execute((FOLDER / "everything.sql").read_text())
    return conn


# --- Complete: whatever pg_dump shows is shown here. ---


@dataclass(frozen=True)
class Case:
    """A paragraph of changes.sql."""

    expected: set[str]
    statements: list[str]
    seen: bool = True  # by pg_dump
    version: int = 14


def cases() -> list[Case]:
    found = []
    for paragraph in (FOLDER / "changes.sql").read_text().split("\n\n")[1:]:
        lines = paragraph.strip().split("\n")
        notes = [line.removeprefix("-- ") for line in lines if line.startswith("-- ")]
        text = "\n".join(line for line in lines if not line.startswith("-- "))
        versions = [int(note.removeprefix("from ")) for note in notes if note.startswith("from ")]
        expected = {note for note in notes if note != "unseen" and not note.startswith("from ")}
        # One statement at a time: some refuse to run with others.
        statements = [text] if "$$" in text else re.split(r"(?<=;)\n", text)
        found.append(Case(expected, statements, "unseen" not in notes, *versions))
    return found


def test_there_are_many_changes_to_hold_against_pg_dump() -> None:
    assert len(cases()) > 150


@pytest.mark.parametrize("part", range(SLICES))
def test_every_change_shows_in_its_own_row_and_in_pg_dump(part: int, everything: psycopg.Connection, database: str):
    every = [case for case in cases() if case.version * 10000 <= everything.info.server_version]
    size = len(every) // SLICES + 1
    for case in every[: part * size]:
        for statement in case.statements:
            everything.execute(statement)
    reader = SnapshotReader()
    failures = []
    # Not the session that changes things: psycopg forgets what is prepared at an ALTER or DROP; all would be planned anew.
    with psycopg.connect(database, autocommit=True, prepare_threshold=0) as reading:
        rows, dump = snapshot(reading, owners=True), pg_dump(database)
        reader.read(reading)
        for case in every[part * size : (part + 1) * size]:
            for statement in case.statements:
                everything.execute(statement)
            old_rows, old_dump = rows, dump
            rows, dump = snapshot(reading, owners=True), pg_dump(database)
            if (changed := list(reader.read(reading).items())) != list(rows.items()):
                failures.append(f"{case.statements}: read in part: {set(changed) ^ set(rows.items())}")
            shown = {
                f"{change.kind} {change.identity}"
                for change in difference(old_rows, rows)
                if change.kind != "owner" or (change.before and change.after)  # the owner of what came or went
            }
            if shown != case.expected or (dump != old_dump) != case.seen:
                failures.append(f"{case.statements}: {shown}, expected {case.expected}, in pg_dump: {dump != old_dump}")
    assert not failures, "\n".join(failures)


# Entries of a dump -> kinds of rows, one for one. FACTS are told by the rows of other objects, or several by one.
ENTRIES = {
    "ACCESS METHOD": "access method",
    "AGGREGATE": "aggregate",
    "CAST": "cast",
    "COLLATION": "collation",
    "COMMENT": "comment",
    "CONVERSION": "conversion",
    "DOMAIN": "domain",
    "EVENT TRIGGER": "event trigger",
    "FOREIGN DATA WRAPPER": "foreign data wrapper",
    "FOREIGN TABLE": "foreign table",
    "FUNCTION": "function",
    "MATERIALIZED VIEW": "materialized view",
    "OPERATOR": "operator",
    "OPERATOR CLASS": "operator class",
    "OPERATOR FAMILY": "operator family",
    "POLICY": "policy",
    "PROCEDURAL LANGUAGE": "language",
    "PROCEDURE": "procedure",
    "PUBLICATION": "publication",
    "RULE": "rule",
    "SCHEMA": "schema",
    "SERVER": "server",
    "STATISTICS": "statistics",
    "TABLE": "table",
    "TEXT SEARCH CONFIGURATION": "text search configuration",
    "TEXT SEARCH DICTIONARY": "text search dictionary",
    "TEXT SEARCH PARSER": "text search parser",
    "TEXT SEARCH TEMPLATE": "text search template",
    "TRANSFORM": "transform",
    "TRIGGER": "trigger",
    "TYPE": "type",
    "USER MAPPING": "user mapping",
    "VIEW": "view",
    "INDEX": "index",
}
FACTS = {"ACL", "CONSTRAINT", "DEFAULT", "DEFAULT ACL", "FK CONSTRAINT", "INDEX ATTACH", "PUBLICATION TABLE", "SEQUENCE",
    "SEQUENCE OWNED BY", "SHELL TYPE", "TABLE ATTACH"}  # fmt: skip


def test_every_entry_of_a_dump_is_a_row(everything: psycopg.Connection, database: str) -> None:
    ours = re.compile("_pgyoyo|yoyo_")
    everything.execute("ALTER EXTENSION plpgsql DROP TABLE app.member_table")
    everything.execute("DROP TABLE app.member_table")
    entries = re.findall(r"^-- Name: (.*); Type: (.*); Schema:", pg_dump(database), flags=re.MULTILINE)
    dumped = Counter(kind for name, kind in entries if not ours.search(name) and name != "public")
    rows = Counter(kind for kind, _ in snapshot(everything))
    assert set(dumped) == set(ENTRIES) | FACTS
    # A fresh database has these: pg_dump counts on them.
    initial = Counter({"schema": 1, "comment": 2})
    assert {kind: dumped[entry] for entry, kind in ENTRIES.items()} == {
        kind: rows[kind] - initial[kind] for kind in ENTRIES.values()
    }


# --- The same rows. ---


def text(rows: Snapshot) -> str:
    return "".join(
        f"{kind} {identity}\n" + "".join(f"    {line}\n" for line in definition.split("\n") if line)
        for (kind, identity), definition in rows.items()
    )


def test_plain_schema_has_the_same_rows_on_every_version(conn: psycopg.Connection) -> None:
    conn.execute((FOLDER / "plain.sql").read_text())
    rows = {key: row for key, row in snapshot(conn).items() if key != ("privilege", "schema public to PUBLIC")}  # 14
    assert text(rows) == (FOLDER / "plain.txt").read_text()


def test_two_runs_and_two_databases_give_the_same_rows(new_database: Callable[[], str]) -> None:
    runs = []
    for statements in ("everything.sql", "everything.sql"):
        with psycopg.connect(new_database(), autocommit=True) as conn:
            conn.execute("SELECT lo_create(0) FROM generate_series(1, 5)")  # other OIDs
            conn.execute((FOLDER / statements).read_text())
            runs += [list(snapshot(conn, owners=True).items()), list(snapshot(conn, owners=True).items())]
            # Not of those that all databases share, which other tests wait for.
            tables = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND NOT relisshared"
            conn.execute(f"VACUUM FULL {', '.join(name for (name,) in conn.execute(tables))}".encode())
            conn.execute("ANALYZE")
            runs.append(list(snapshot(conn, owners=True).items()))
    assert all(run == runs[0] for run in runs)


def test_psql_gives_the_same_rows_in_order(everything: psycopg.Connection, database: str) -> None:
    options = "-c search_path= -c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres -c jit=off"
    assert options in QUERY.read_text()
    done = subprocess.run(
        ["psql", "-X", "-d", database, "-Atz0", "-F", "\x1f", "-R", "\x1e", "-f", QUERY],
        env={**os.environ, "PGOPTIONS": options},
        executable=binary("psql"),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    rows = [tuple(row.split("\x1f")) for row in done.stdout.rstrip("\n").split("\x1e")]
    assert rows == [(*key, definition) for key, definition in snapshot(everything, owners=True).items()]
    assert len(rows) == len({row[:2] for row in rows}), "two rows have one kind and identity"


# For each condition of a section, what a user may make first of its kind; one statement may need another.
FIRST = [
    "CREATE TYPE e AS ENUM ('a')",
    "CREATE TYPE c AS (a integer)",
    "CREATE TYPE r AS RANGE (subtype = integer)",
    "CREATE TYPE shell",
    "CREATE DOMAIN d AS integer CHECK (VALUE > 0)",
    'CREATE COLLATION l (provider = libc, locale = "C")',
    "CREATE CONVERSION n FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
    "CREATE VIEW v AS SELECT 1 AS a",
    "CREATE MATERIALIZED VIEW m AS SELECT 1 AS a",
    "CREATE FUNCTION f() RETURNS integer LANGUAGE sql RETURN 1",
    "CREATE AGGREGATE g(integer) (sfunc = int4pl, stype = integer)",
    "CREATE TABLE t (a integer); CREATE TRIGGER b BEFORE UPDATE ON t EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "CREATE TABLE t (a integer); CREATE RULE q AS ON DELETE TO t DO INSTEAD NOTHING",
    "CREATE TABLE t (a integer); CREATE POLICY p ON t",
    "CREATE TABLE t (a integer, b integer); CREATE STATISTICS s ON a, b FROM t",
    "CREATE CAST (integer AS point) WITH INOUT",
    "CREATE OPERATOR === (leftarg = integer, rightarg = integer, function = int4eq)",
    "CREATE OPERATOR FAMILY o USING btree",
    "CREATE OPERATOR CLASS k FOR TYPE integer USING hash AS OPERATOR 1 =",
    "CREATE TEXT SEARCH CONFIGURATION z (parser = default)",
    "CREATE TEXT SEARCH DICTIONARY y (template = simple)",
    "CREATE TEXT SEARCH TEMPLATE x (lexize = dsimple_lexize)",
    "CREATE TEXT SEARCH PARSER w (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype)",
    "CREATE LANGUAGE u HANDLER plpgsql_call_handler",
    "CREATE TRANSFORM FOR integer LANGUAGE sql (FROM SQL WITH FUNCTION prsd_lextype(internal))",
    "CREATE ACCESS METHOD h TYPE TABLE HANDLER heap_tableam_handler",
    "CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE USER MAPPING FOR PUBLIC SERVER s",
    """CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
       CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION f()""",
    "CREATE PUBLICATION p FOR ALL TABLES",
    "CREATE FUNCTION f() RETURNS integer LANGUAGE sql RETURN 1; ALTER FUNCTION f() DEPENDS ON EXTENSION plpgsql",
    "GRANT SELECT (relname) ON pg_class TO pg_monitor",
]


def test_sections_that_are_left_out_have_no_row(conn: psycopg.Connection) -> None:
    for name, value in SETTINGS.items():
        conn.execute("SELECT set_config(%s, %s, false)", [name, value])
    conn.execute("SET search_path = public")
    whole = QUERY.read_bytes()
    fulfilled: set[int] = set()
    for statements in FIRST:
        with conn.transaction(force_rollback=True):
            conn.execute(statements.encode())
            conn.execute("SET LOCAL search_path = ''")
            holds = conn.execute(query.conditions()).fetchone()
            assert holds
            rows = [row[:3] for row in conn.execute(query.compose(holds), prepare=False).fetchall()]
            assert rows == conn.execute(whole, prepare=True).fetchall(), statements
            fulfilled.update(number for number, true in enumerate(holds) if true)
    assert len(fulfilled) == len(holds), "a condition that no statement fulfills"


def test_settings_of_the_session_do_not_show(everything: psycopg.Connection) -> None:
    expected = snapshot(everything)
    for setting in (
        "search_path = app, public",
        "timezone = 'Asia/Tokyo'",
        "datestyle = 'German'",
        "quote_all_identifiers = on",
        "standard_conforming_strings = off",
        "client_encoding = latin1",
    ):
        everything.execute(f"SET {setting}")
        assert difference(expected, snapshot(everything)) == []


# --- What is left out. ---


def test_members_of_extensions_and_yoyo_tables_and_ours_are_left_out(everything: psycopg.Connection) -> None:
    told = text(snapshot(everything, owners=True))
    for name in ("yoyo", "member_", "pg_toast"):
        assert name not in told


def test_temporary_objects_are_left_out(conn: psycopg.Connection) -> None:
    before = snapshot(conn, owners=True)
    conn.execute("""
        CREATE TEMP TABLE t (id serial PRIMARY KEY, a text UNIQUE);
        COMMENT ON TABLE t IS 'short-lived';
        GRANT SELECT ON t TO PUBLIC;
        CREATE TEMP VIEW v AS SELECT id FROM t;
        CREATE FUNCTION pg_temp.f() RETURNS integer LANGUAGE sql RETURN 1;
    """)
    assert snapshot(conn, owners=True) == before


def test_privileges_that_are_the_default_ones_are_left_out(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE t (); CREATE FUNCTION f() RETURNS integer LANGUAGE sql RETURN 1")
    before = snapshot(conn)
    conn.execute("""
        GRANT SELECT ON t TO pg_monitor;
        REVOKE ALL ON t FROM pg_monitor;
        GRANT EXECUTE ON FUNCTION f() TO PUBLIC;
    """)
    assert snapshot(conn) == before


def test_owners_are_left_out_unless_asked_for(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TABLE t (); GRANT SELECT ON t TO pg_monitor")
    before = snapshot(conn)
    conn.execute("ALTER TABLE t OWNER TO pg_read_all_data")
    assert snapshot(conn) == before
    assert snapshot(conn, owners=True)["owner", "table public.t"] == "pg_read_all_data"


def test_passwords_are_masked(everything: psycopg.Connection) -> None:
    rows = snapshot(everything)
    assert "hunter2" not in text(rows)
    assert rows["user mapping", "for pg_monitor on far"] == "OPTION password=***\nOPTION username=me"
    assert "OPTION dsn=pg://me:***@h/d" in rows["server", "far"]


# --- Safe on production. ---


def test_idle_connection_reads_in_a_transaction_of_its_own(conn: psycopg.Connection, database: str) -> None:
    conn.execute("SET search_path = app")
    for connection in (conn, psycopg.connect(database, row_factory=dict_row)):
        assert ("schema", "public") in snapshot(connection)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
    connection.close()
    assert conn.execute("SHOW search_path").fetchone() == ("app",)


def test_works_where_nothing_may_be_written(conn: psycopg.Connection) -> None:
    conn.execute("SET default_transaction_read_only = on")
    assert ("schema", "public") in snapshot(conn)


def test_reader_without_privileges_gets_all_but_options_of_others(everything: psycopg.Connection) -> None:
    expected = snapshot(everything)
    everything.execute("SET ROLE pg_read_all_settings")
    assert [change.kind for change in difference(expected, snapshot(everything))] == ["user mapping"]


def test_open_transaction_stays_open_and_keeps_its_settings(conn: psycopg.Connection) -> None:
    names = [*SETTINGS, *PLANNING]
    with conn.transaction():
        conn.execute(
            "CREATE SCHEMA app; SET search_path = app; SET LOCAL timezone = 'Asia/Tokyo'; CREATE TABLE t (a text)"
        )
        before = [conn.execute(f"SHOW {name}").fetchone() for name in names]
        assert ("table", "app.t") in snapshot(conn)
        assert [conn.execute(f"SHOW {name}").fetchone() for name in names] == before
        conn.execute("INSERT INTO t VALUES ('still writable')")
    assert conn.execute("SHOW search_path").fetchone() == ("app",)


def test_takes_no_lock_that_outlives_the_query_but_access_share_on_views(everything: psycopg.Connection) -> None:
    with everything.transaction():
        snapshot(everything)
        locks = everything.execute("""
            SELECT DISTINCT mode FROM pg_locks WHERE locktype = 'relation' AND pid = pg_backend_pid()
        """).fetchall()
    assert locks == [("AccessShareLock",)]


def test_view_dropped_while_it_is_read_is_not_shown(conn: psycopg.Connection, database: str) -> None:
    conn.execute("CREATE VIEW gone AS SELECT 1")
    with psycopg.connect(database) as other, ThreadPoolExecutor() as pool:
        other.execute("DROP VIEW gone")
        reading = pool.submit(snapshot, conn)
        waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND pid = %s"
        while not other.execute(waits, [conn.info.backend_pid]).fetchone():
            assert not reading.done()
        other.commit()
        assert ("view", "public.gone") not in reading.result()


# --- The difference of two snapshots. ---


def changes(conn: psycopg.Connection, statements: str) -> list[str]:
    before = snapshot(conn)
    conn.execute(statements)
    return [str(change) for change in difference(before, snapshot(conn))]


@pytest.fixture
def plain(conn: psycopg.Connection) -> psycopg.Connection:
    conn.execute((FOLDER / "plain.sql").read_text())
    return conn


def test_change_reads_as_a_sentence(plain: psycopg.Connection) -> None:
    for statements, expected in [
        (
            "ALTER TABLE cj_batch_states ALTER COLUMN total_comparisons TYPE bigint",
            "column public.cj_batch_states.total_comparisons: integer → bigint",
        ),
        (
            "ALTER TABLE cj_batch_states ALTER COLUMN metadata SET NOT NULL",
            "column public.cj_batch_states.metadata: added NOT NULL",
        ),
        (
            "ALTER TABLE cj_batch_states ALTER COLUMN status DROP DEFAULT",
            "column public.cj_batch_states.status: removed DEFAULT 'pending'::public.cj_batch_status",
        ),
        (
            "ALTER TABLE cj_batch_states ALTER COLUMN total_comparisons TYPE bigint, ALTER total_comparisons DROP NOT NULL",
            "column public.cj_batch_states.total_comparisons: changed\n    - integer\n    - NOT NULL\n    + bigint",
        ),
        (
            "CREATE INDEX ix_a ON cj_processed_essays (content_hash)",
            "index public.ix_a: added: CREATE INDEX ix_a ON public.cj_processed_essays USING btree (content_hash)",
        ),
        (
            "ALTER TABLE cj_processed_essays DROP COLUMN is_anchor",
            "column public.cj_processed_essays.is_anchor: removed: boolean NOT NULL DEFAULT false",
        ),
        ("CREATE SCHEMA extra", "schema extra: added"),
        (
            "ALTER TYPE cj_batch_status ADD VALUE 'new' BEFORE 'comparing'",
            "type public.cj_batch_status: added 'new'",
        ),
        (
            "COMMENT ON TABLE cj_batch_states IS 'how far'",
            "comment table public.cj_batch_states: how far each batch is → how far",
        ),
    ]:
        with plain.transaction(force_rollback=True):
            assert changes(plain, statements) == [expected]


def test_column_that_comes_back_last_is_one_change_of_order(plain: psycopg.Connection) -> None:
    before = snapshot(plain)
    plain.execute("ALTER TABLE cj_processed_essays DROP COLUMN content_hash, ADD COLUMN content_hash varchar(64)")
    (change,) = difference(before, snapshot(plain))
    assert change.kind == "column order"
    assert str(change) == "column order public.cj_processed_essays: content_hash is behind is_anchor"


def test_columns_that_moved_are_as_few_as_explain_the_order() -> None:
    for before, after, words in (
        ("a, b", "b, a", "a is behind b"),
        ("a, b, c, d", "d, a, b, c", "d is first"),
        ("a, x, b, c, y", "a, z, c, b, y", "b is behind c"),
        ("a, b, c, d, e, f, g, h, i", "i, h, g, f, e, d, c, b, a", "h is behind i, g is behind h"),
    ):
        assert str(Change("column order", "t", before, after)).startswith(f"column order t: {words}")
    assert str(Change("column order", "t", before, after)).endswith(" and 2 more")


def test_columns_that_came_and_went_are_no_other_order() -> None:
    order = ("column order", "public.t")
    assert difference({order: "a, b, c"}, {order: "a, c, d"}) == []
    assert difference({order: "a, b, c"}, {}) == []
    assert len(difference({order: "a, b, c"}, {order: "c, a, d"})) == 1


def test_order_of_enum_values_shows(conn: psycopg.Connection) -> None:
    conn.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
    assert changes(conn, "DROP TYPE mood; CREATE TYPE mood AS ENUM ('ok', 'sad')") == [
        "type public.mood: changed\n    - ENUM\n    - 'sad'\n    - 'ok'\n    + ENUM\n    + 'ok'\n    + 'sad'"
    ]


def test_bodies_that_differ_in_white_space_are_not_shown_line_by_line() -> None:
    body = "CREATE FUNCTION f()\n  BEGIN\n  RETURN;\n  END"
    assert (
        str(Change("function", "public.f()", body, body.replace("  ", "    ")))
        == "function public.f(): only white space changed"
    )
    assert "RETURN; → " in str(Change("function", "public.f()", body, body.replace("  RETURN;", "    RETURN 1;")))
    assert "→" in str(Change("column", "public.t.a", "DEFAULT 'a b'", "DEFAULT 'ab'"))


def test_difference_is_sorted_and_a_mirror() -> None:
    one, other = {("b", "x"): "1", ("a", "y"): "1"}, {("b", "x"): "2", ("a", "z"): "1"}
    assert difference(one, other) == [
        Change("a", "y", "1", None),
        Change("a", "z", None, "1"),
        Change("b", "x", "1", "2"),
    ]
    assert difference(other, one) == [
        Change(kind, identity, after, before) for kind, identity, before, after in difference(one, other)
    ]


def test_not_null_tells_its_constraint_only_if_it_says_more(conn: psycopg.Connection) -> None:
    long = "a_name_that_is_so_long_that_the_name_of_its_constraint_is_cut"
    conn.execute(f"""
        CREATE TABLE parent (a integer NOT NULL, {long} integer NOT NULL);
        CREATE TABLE child () INHERITS (parent);
        CREATE TABLE parts (a integer PRIMARY KEY) PARTITION BY RANGE (a);
        CREATE TABLE part PARTITION OF parts DEFAULT;
        CREATE DOMAIN positive AS integer NOT NULL;
        CREATE TABLE person (mail text NOT NULL);
        ALTER TABLE person RENAME TO account;
        ALTER TABLE account RENAME mail TO email;
    """)
    rows = snapshot(conn)
    assert [identity for kind, identity in rows if kind == "constraint"] == [
        "part_pkey on public.part",
        "parts_pkey on public.parts",
    ]
    assert rows["domain", "public.positive"] == "integer\nNOT NULL"
