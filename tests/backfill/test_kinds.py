"""DELETE and INSERT … SELECT in batches give what the statement alone gives, on each kind of table, and say what they did."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection

from filling import BATCHED, committed, folder, kill, one, running
from pgyoyo.backfill.privileges import refuse_missing_privileges
from pgyoyo.backfill.queries import queries
from pgyoyo.backfill.statement import StatementRun
from pgyoyo.backfill.tables import find
from pgyoyo.cli.main import main  # noqa: F401 - the entry point that run_here calls
from pgyoyo.sql import parser
from pgyoyo.sql.batched import RefusedError
from pgyoyo.sql.batched_file import statements
from running import Runners

# `t` is walked; `p` are parents, some of which are gone; `kid` goes with its row of t; `n` is new, with rows of its own.
REST = """
CREATE TABLE p (id int PRIMARY KEY, v int); INSERT INTO p SELECT i * 3, i FROM generate_series(0, 600) i;
CREATE TABLE n (id int PRIMARY KEY, a int, b text DEFAULT 'new', "C c" int UNIQUE);
INSERT INTO n SELECT i * 10, -1, 'own', -i FROM generate_series(1, 50) i;
CREATE TABLE parts (id int, a int, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (700); CREATE TABLE rest PARTITION OF parts DEFAULT;
CREATE TABLE tags (tag int NOT NULL UNIQUE)
"""
COLUMNS = "(id int, p_id int, a int, pad text"
KINDS = {
    "plain": f"CREATE TABLE t {COLUMNS}, PRIMARY KEY (id))",
    "partitioned": f"CREATE TABLE t {COLUMNS}) PARTITION BY RANGE (id);"
    'CREATE TABLE "P 1" PARTITION OF t FOR VALUES FROM (0) TO (700); CREATE TABLE "P 2" PARTITION OF t DEFAULT',
    "inherited": f"CREATE TABLE t {COLUMNS}); CREATE TABLE child () INHERITS (t)",
}
FILL = "INSERT INTO {} SELECT i, i, i % 7, repeat('x', 400) FROM generate_series({}, {}) i"
STATEMENTS = [
    "DELETE FROM t WHERE a < 3",
    "DELETE FROM ONLY t AS x WHERE x.a = 2 -- end",
    "DELETE FROM {s}.t WHERE {s}.t.a IS DISTINCT FROM 3 AND id > 5",
    "DELETE FROM t WHERE NOT EXISTS (SELECT FROM p WHERE p.id = t.p_id)",
    "DELETE FROM t USING p JOIN n USING (id) WHERE t.p_id = p.id AND n.b = 'own'",
    "INSERT INTO n (id, a) SELECT id, a FROM t ON CONFLICT DO NOTHING",
    "INSERT INTO n (a, id) SELECT x.a, (x.id) FROM ONLY t x WHERE x.a > 2 -- é\nON CONFLICT (id) DO NOTHING",
    "INSERT INTO n SELECT {s}.t.id, coalesce(p.v, 0), 'x' FROM {s}.t LEFT JOIN p ON p.id = {s}.t.p_id ON CONFLICT DO NOTHING",
    'INSERT INTO n (id, "C c") SELECT id, -id FROM t WHERE a <> 1 AND id > 60 ON CONFLICT ON CONSTRAINT n_pkey DO NOTHING',
    'INSERT INTO n (id, "C c") SELECT id, -id FROM t ON CONFLICT DO NOTHING',
    "INSERT INTO n (id, a) SELECT t.id, t.a FROM t WHERE NOT EXISTS (SELECT FROM n WHERE n.id = t.id)",
    "INSERT INTO n (id, a) SELECT t.id, v FROM p, t WHERE p.id = p_id AND NOT EXISTS (SELECT 1 FROM n o WHERE t.id = o.id)",
    "INSERT INTO parts SELECT ALL id, a /* FROM */ FROM t _row, (SELECT 1 AS _place) _there -- WHERE\nON CONFLICT DO NOTHING",
    "INSERT INTO tags SELECT DISTINCT a FROM t ON CONFLICT DO NOTHING",
    "INSERT INTO tags SELECT a * 100 + g FROM t CROSS JOIN generate_series(1, 3) g ON CONFLICT (tag) DO NOTHING",
]
TABLES = ("t", "n", "parts", "tags")
KEEP = "CREATE TABLE kept_{number} AS " + " UNION ALL ".join(
    f"SELECT '{name}', x::text FROM {name} x" for name in TABLES
)
DIFFER = """SELECT count(*) FROM (
    (TABLE mine.kept_{number} EXCEPT ALL TABLE alone.kept_{number})
    UNION ALL (TABLE alone.kept_{number} EXCEPT ALL TABLE mine.kept_{number})) d"""


@pytest.mark.parametrize(("kind", "rows"), [("plain", 20), *((kind, 1500) for kind in KINDS)])
def test_each_statement_gives_the_rows_of_itself_alone(
    kind: str, rows: int, conn: Connection, database: str, run_here: Callable, tmp_path: Path
) -> None:
    """Three migrations for each: the tables, the statement, a copy of what it left; and the same without batches."""
    sql = folder(tmp_path)
    (sql / "0001_fill.sql").unlink()
    conn.execute("CREATE SCHEMA mine; CREATE SCHEMA alone")
    done = []
    for number, statement in enumerate(STATEMENTS, 1):
        fill = [FILL.format("t", 1, rows), *([FILL.format("child", 1 + rows, 2 * rows)] if kind == "inherited" else ())]
        made = "; ".join((KINDS[kind], REST, *fill))
        drop = "DROP TABLE t, p, n, parts, tags CASCADE" if number > 1 else "SELECT"
        (sql / f"{number:03}1_make.sql").write_text(f"{drop};{made}")
        (sql / f"{number:03}2_fill.sql").write_text(BATCHED + statement.format(s="mine"))
        (sql / f"{number:03}3_keep.sql").write_text(KEEP.format(number=number))
        conn.execute(f"SET search_path = alone; {drop}; {made}".encode())
        done.append(conn.execute(statement.format(s="alone").encode()).rowcount)
        conn.execute(KEEP.format(number=number).encode())
    url = psycopg.conninfo.make_conninfo(database, options="-c search_path=mine")
    result = run_here("apply", "--database", url, "--migrations", "sql", cwd=tmp_path)
    assert result.code == 0, result.err
    for number, statement in enumerate(STATEMENTS, 1):
        [said] = re.findall(rf"applied {number:03}2_fill .*\n((?:    .*\n)*)", result.out)
        assert one(conn, DIFFER.format(number=number)) == 0, statement
        assert (f"{done[number - 1]:,} rows in" in said) is (rows == 1500 and done[number - 1] > 0), (statement, said)


@pytest.fixture
def fill(run_here: Callable, database: str, tmp_path: Path, conn: Connection) -> Callable:
    """Applies a file of batches on t, of 1,500 rows, and what REST makes."""
    sql = folder(tmp_path)
    conn.execute(f"{KINDS['plain']}; {REST}; {FILL.format('t', 1, 1500)}; ANALYZE".encode())

    def fill(statement: str, *args: str, header: str = BATCHED):
        (sql / "0001_fill.sql").write_text(header + statement)
        return run_here("apply", "--database", database, "--migrations", "sql", *args, cwd=tmp_path)

    return fill


BODY = "CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {}; END';"
SWAPPED = ("CREATE TABLE src (id int, a int) PARTITION BY RANGE (id); CREATE TABLE swapped (a int, id int);"
           "ALTER TABLE src ATTACH PARTITION swapped DEFAULT; INSERT INTO src SELECT id, -id FROM t")  # fmt: skip
OTHER = ", and swapped has other columns than src, or the same in another order; name the columns"
CATALOG = {
    "star of another order": (SWAPPED, "INSERT INTO n (id, a) SELECT * FROM src ON CONFLICT DO NOTHING", f"(*){OTHER}"),
    "star of an alias": (SWAPPED, "INSERT INTO n (id, a) SELECT s.* FROM p, src s WHERE s.id = p.id ON CONFLICT DO NOTHING",
                         f"(s.*){OTHER}"),
    "row as a whole": (SWAPPED, "DELETE FROM src WHERE src::text LIKE '(3,%'", f"(src){OTHER}"),
    "identity overridden": ("CREATE TABLE k (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, a int)",
                            "INSERT INTO k OVERRIDING USER VALUE SELECT id, a FROM t ON CONFLICT DO NOTHING",
                            "it has OVERRIDING USER VALUE"),
    "no key": ("ALTER TABLE tags DROP CONSTRAINT tags_tag_key", "INSERT INTO tags SELECT a FROM t ON CONFLICT DO NOTHING",
               "tags has no unique key of NOT NULL columns that it inserts"),
    "key may be null": ("", 'INSERT INTO n (id, "C c") SELECT id, a FROM t ON CONFLICT ("C c") DO NOTHING',
                        "n has no unique key on C c of NOT NULL columns"),
    "key by default": ("CREATE TABLE k (id serial PRIMARY KEY, a int)",
                       "INSERT INTO k (a) SELECT a FROM t ON CONFLICT DO NOTHING",
                       "k has no unique key of NOT NULL columns that it inserts"),
    "key of a sequence": ("CREATE SEQUENCE q", "INSERT INTO n (id, a) SELECT nextval('q'), id FROM t ON CONFLICT DO NOTHING",
                          "would not be noticed; id does not count, since nextval may give the same row another value"),
    "key by a function": ("CREATE SCHEMA f; CREATE FUNCTION f.new() RETURNS int LANGUAGE sql AS 'SELECT 1'",
                          "INSERT INTO n SELECT f.new() + id, a FROM t ON CONFLICT (id) DO NOTHING", "since new may give"),
    "key of the time": ("CREATE TABLE k (id int, at timestamptz, PRIMARY KEY (id, at))",
                        "INSERT INTO k SELECT id, CURRENT_TIMESTAMP FROM t ON CONFLICT DO NOTHING",
                        "at does not count, since CURRENT_… may"),
    "something behind a star": ("CREATE TABLE k (id int PRIMARY KEY, b int, c int, d text, r float)",
                                "INSERT INTO k SELECT *, random() FROM t ON CONFLICT DO NOTHING",
                                "id does not count, since random may"),
    "guarded by no key": ("", "INSERT INTO n (id, a) SELECT id, a FROM t WHERE NOT EXISTS (SELECT FROM n x WHERE x.a = t.a)",
                          "n has no unique key on a of NOT NULL"),
    "reads itself by a view": ("CREATE VIEW v AS TABLE n", "INSERT INTO n (id) SELECT t.id FROM t, v ON CONFLICT DO NOTHING",
                               "it reads v, a view of the very table it inserts into"),
    "into a view": ("CREATE VIEW v AS TABLE n", "INSERT INTO v (id) SELECT id FROM t ON CONFLICT DO NOTHING",
                    "v has no unique key"),
    "rule": ("CREATE RULE r AS ON DELETE TO t DO ALSO NOTHING", "DELETE FROM t WHERE a = 1",
             "the rule r on t rewrites its DELETEs"),
    "skipping": ("CREATE TABLE kid (t_id int REFERENCES t)", "-- triggers skip\nDELETE FROM t WHERE a = 1",
                 "a foreign key of kid refers to its table, and with its triggers skipped"),
    "foreign key": ("ALTER TABLE n ADD FOREIGN KEY (a) REFERENCES p NOT VALID",
                    "-- triggers skip\nINSERT INTO n (id, a) SELECT id, 3 FROM t ON CONFLICT DO NOTHING",
                    "it inserts a column of a foreign key"),
    "unindexed foreign key": (("CREATE TABLE kid AS SELECT i AS t_id, repeat('x', 500) FROM generate_series(10, 40000) i;"
                               "ALTER TABLE kid ADD FOREIGN KEY (t_id) REFERENCES t NOT VALID"),
                              "DELETE FROM t WHERE a = 1",
                              "the foreign key of kid (t_id) has no index, so each deleted row would read all of its 2"),
    "aggregate": ("", "INSERT INTO tags SELECT 1 + max(a) FROM t ON CONFLICT DO NOTHING", "it calls max(…)"),
    "function": ("CREATE FUNCTION f() RETURNS bool STABLE LANGUAGE sql AS 'SELECT count(*) > 0 FROM t'",
                 "DELETE FROM t WHERE a = 1 AND f()", "f() reads \"t\", and other batches"),
    "audit": ((BODY.format("INSERT INTO tags VALUES (OLD.id); RETURN OLD") +
               "CREATE TRIGGER audited BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION g()"), "DELETE FROM t WHERE a = 1",
              "a trigger of t (audited) also writes to tags, 10 rows for 10. Nothing was changed."),
    "keeper": ((BODY.format("RETURN NULL") +
                "CREATE TRIGGER keeps BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION g()"), "DELETE FROM t WHERE a = 1",
               "a trigger of t (keeps) keeps rows from being deleted"),
    "audit of what comes": (
        (BODY.format("INSERT INTO tags VALUES (NEW.id); RETURN NEW") +
         "CREATE TRIGGER audited BEFORE INSERT ON n FOR EACH ROW EXECUTE FUNCTION g()"),
        "INSERT INTO n (id) SELECT id FROM t ON CONFLICT DO NOTHING",
        "a trigger of n (audited) also writes to tags, 10 rows for 10"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CATALOG)
def test_what_the_catalog_rules_out_is_refused(kind: str, conn: Connection, fill: Callable) -> None:
    setup, statement, words = CATALOG[kind]
    conn.execute(setup.encode() or b"SELECT")
    header = "-- backfill: batched, triggers skip\n" if "triggers skip" in statement else BATCHED
    result = fill(statement.removeprefix("-- triggers skip\n"), header=header)
    assert result.code == 1, result.out
    assert "sql/0001_fill.sql:2: " in result.err
    assert words in result.err
    counts = "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM n), (SELECT count(*) FROM tags)"
    assert conn.execute(counts).fetchone() == (1500, 50, 0)


def test_what_foreign_keys_delete_is_counted(conn: Connection, fill: Callable) -> None:
    conn.execute(
        "CREATE TABLE kid (id int PRIMARY KEY, t_id int REFERENCES t ON DELETE CASCADE);"
        "CREATE TABLE grandkid (kid_id int REFERENCES kid ON DELETE SET NULL) PARTITION BY RANGE (kid_id);"
        "CREATE TABLE grandkid_1 PARTITION OF grandkid DEFAULT; CREATE INDEX ON kid (t_id);"
        "CREATE INDEX ON grandkid (kid_id);"
        "INSERT INTO kid SELECT id, id FROM t; INSERT INTO grandkid SELECT id FROM t"
    )
    result = fill("DELETE FROM t WHERE a < 3")
    assert result.code == 0, result.err
    assert "a foreign key deletes the rows of kid that refer to it" in result.err
    assert "a foreign key sets to NULL the rows of grandkid" in result.err
    assert "644 rows in" in result.out
    assert "foreign keys deleted or changed 644 rows of kid\n" in result.out
    assert "foreign keys deleted or changed 644 rows of grandkid_1\n" in result.out
    assert one(conn, "SELECT count(*) FROM grandkid WHERE kid_id IS NULL") == 644


@pytest.mark.parametrize(
    ("options", "autovacuum", "gone", "comes"),
    [
        ("", "on", 351, True),
        ("", "on", 350, False),
        ("", "off", 351, False),
        ("autovacuum_enabled = off", "on", 1500, False),
        ("autovacuum_vacuum_threshold = 9, autovacuum_vacuum_scale_factor = 0.5", "on", 759, False),
        ("autovacuum_vacuum_threshold = 9, autovacuum_vacuum_scale_factor = 0.5", "on", 760, True),
    ],
)
def test_last_vacuum_of_a_delete_is_left_to_an_autovacuum_that_comes_for_its_rows(
    options: str, autovacuum: str, gone: int, comes: bool, fill: Callable, conn: Connection
) -> None:
    """Of 1,500 rows; the tests' own server has no autovacuum."""
    conn.execute(f"ALTER TABLE t SET ({options})".encode() if options else b"SELECT")
    query = queries()["autovacuum_comes"].replace("pg_catalog.current_setting('autovacuum')", f"'{autovacuum}'")
    assert conn.execute(
        query.encode(), {"oid": one(conn, "SELECT 't'::regclass::oid::int8"), "gone": gone}
    ).fetchone() == (comes,)


def test_small_table_is_deleted_from_in_batches_where_others_go_with_it(conn: Connection, fill: Callable) -> None:
    conn.execute("CREATE TABLE kid (p_id int UNIQUE REFERENCES p ON DELETE CASCADE); INSERT INTO kid SELECT id FROM p")
    result = fill("DELETE FROM p WHERE v >= 0")
    assert result.code == 0, result.err
    assert "a foreign key deletes the rows of kid that refer to it" in result.err
    assert "foreign keys deleted or changed 601 rows of kid\n" in result.out


def test_what_foreign_keys_do_in_the_table_itself_is_counted_apart(conn: Connection, fill: Callable) -> None:
    conn.execute(
        "ALTER TABLE t ADD FOREIGN KEY (p_id) REFERENCES t ON DELETE CASCADE; CREATE INDEX ON t (p_id);"
        "UPDATE t SET p_id = CASE WHEN a = 3 THEN id - 1 WHEN a = 4 THEN id - 1 END"
    )
    result = fill("DELETE FROM t WHERE a = 2")
    assert result.code == 0, result.err
    assert "a foreign key deletes the rows of t that refer to it" in result.err
    assert "215 rows in" in result.out
    assert "foreign keys deleted or changed 428 rows of t\n" in result.out
    assert one(conn, "SELECT count(*) FROM t WHERE a IN (2, 3, 4)") == 0


def test_row_that_another_key_keeps_out_is_counted(conn: Connection, fill: Callable) -> None:
    conn.execute('UPDATE n SET "C c" = 77 WHERE id = 20; INSERT INTO n (id, "C c") VALUES (2000, 78)')
    result = fill(
        'INSERT INTO n (id, "C c") SELECT id, id FROM t WHERE id > 500 OR id IN (77, 78) ON CONFLICT DO NOTHING'
    )
    assert result.code == 0, result.err
    assert "1,000 rows in" in result.out
    assert "2 rows of t are not in n: id = 77; id = 78" in result.out


KILLED = {
    "DELETE": ("DELETE FROM t WHERE a < 3", "SELECT count(*) FROM t", 1500 - 644, 644),
    "INSERT": ("INSERT INTO n (id, a) SELECT id, a FROM t ON CONFLICT DO NOTHING", "SELECT count(*) FROM n", 1500, 1450),
    "second": ("DELETE FROM tags WHERE tag = 0;\nDELETE FROM t WHERE a < 3", "SELECT count(*) FROM t", 1500 - 644, 644),
    # A key that repeats: each is inserted once, whatever was done before.
    "several": (("INSERT INTO tags SELECT DISTINCT a FROM t ON CONFLICT DO NOTHING;\nDELETE FROM t WHERE a < 3;\n"
                 "UPDATE t SET a = 9 WHERE a = 6;"),
                "SELECT count(*) FROM t WHERE a <> 6 AND a IN (SELECT tag + 0 FROM tags) OR a = 9",
                1500 - 644, None),
}  # fmt: skip


@pytest.mark.parametrize("kind", KILLED)
def test_killed_run_is_resumed_and_does_no_row_twice(
    kind: str, conn: Connection, fill: Callable, database: str, tmp_path: Path, runners: Runners
) -> None:
    statement, query, right, rows = KILLED[kind]
    (tmp_path / "sql" / "0001_fill.sql").write_text(BATCHED + statement)
    with running(runners, database, tmp_path / "sql", "--pause", "4000%") as runner:
        kill(runner, conn)
    assert one(conn, "SELECT statement FROM _pgyoyo_backfill") == (kind == "second")
    # Rows that move to pages that are done are not forgotten.
    conn.execute("UPDATE t SET pad = pad || 'x' WHERE id > 1400")
    result = fill(statement)
    assert result.code == 0, result.err
    assert "resuming after" in result.err
    assert rows is None or f"{rows:,} rows in" in result.out
    assert ("line 2, DELETE FROM tags: no rows to delete\n" in result.out) is (kind == "second")
    assert one(conn, query) == right


def test_row_that_was_deleted_where_it_was_inserted_does_not_come_back(
    conn: Connection, fill: Callable, database: str, tmp_path: Path, runners: Runners
) -> None:
    statement = "INSERT INTO n (id, a) SELECT id, a FROM t ON CONFLICT DO NOTHING"
    (tmp_path / "sql" / "0001_fill.sql").write_text(BATCHED + statement)
    with running(runners, database, tmp_path / "sql", "--pause", "4000%") as runner:
        gone = conn.execute("DELETE FROM n WHERE a >= 0").rowcount
        conn.execute("UPDATE t SET pad = pad || 'x' WHERE id = 1499")
        code, err = runner.wait(), runner.err
    assert code == 0, err
    assert gone
    assert one(conn, "SELECT count(*) FROM n") == 1500 - gone
    assert one(conn, "SELECT count(*) FROM n WHERE id = 1499") == 1


def test_statements_of_a_file_run_one_after_the_other(conn: Connection, fill: Callable) -> None:
    result = fill("INSERT INTO n (id, a) SELECT id, a FROM t ON CONFLICT DO NOTHING;\n\nDELETE FROM t WHERE EXISTS "
                  "(SELECT FROM n WHERE n.id = t.id);\nUPDATE n SET a = 0 WHERE a = 5")  # fmt: skip
    assert result.code == 0, result.err
    assert re.search(r"    line 2, INSERT INTO n: 1,450 rows in .*\n.*\n    line 4, DELETE FROM t: 1,500 rows in .*\n.*\n"
                     r"    line 5, UPDATE n: 2\d\d rows in", result.out), result.out  # fmt: skip
    assert one(conn, "SELECT count(*) FROM t") == 0
    assert one(conn, "SELECT count(*) FROM n WHERE a = 5") == 0


def test_each_statement_has_an_account_of_its_own(
    conn: Connection, fill: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    worked, places = [], []
    account = StatementRun.account

    def look(run: StatementRun) -> list[str]:
        worked.append(run.batches.state.worked)
        places.append(run.batches.state.lsn)
        return account(run)

    monkeypatch.setattr(StatementRun, "account", look)
    begun = time.monotonic()
    result = fill(
        "DELETE FROM t WHERE a < 3;\nDELETE FROM t WHERE a < 5;\nDELETE FROM n WHERE a < 0", "--pause", "900%"
    )
    assert result.code == 0, result.err
    assert sum(worked) <= time.monotonic() - begun
    assert " 0 bytes of WAL" not in result.out
    assert one(conn, f"SELECT '{places[0]}'::pg_lsn < '{places[1]}' AND '{places[1]}'::pg_lsn < '{places[2]}'") is True


def test_row_that_somebody_holds_is_deleted_at_the_end(conn: Connection, fill: Callable, database: str) -> None:
    with psycopg.connect(database) as holder:
        holder.execute("SELECT FROM t WHERE id = 7 FOR UPDATE")
        with committed(holder, lambda: one(conn, "SELECT count(*) FROM t WHERE a < 3") == 1):
            result = fill("DELETE FROM t WHERE a < 3")
    assert result.code == 0, result.err
    assert one(conn, "SELECT count(*) FROM t") == 1500 - 644


ORDERED = """
CREATE TABLE s (at {kind}, n int) PARTITION BY RANGE (({key}));
CREATE TABLE s3 PARTITION OF s FOR VALUES FROM ('{2}') TO ('{3}');
CREATE TABLE "s {{1}}" PARTITION OF s FOR VALUES FROM (MINVALUE) TO ('{1}');
CREATE TABLE s2 PARTITION OF s FOR VALUES FROM ('{1}') TO ('{2}') PARTITION BY LIST (n);
CREATE TABLE s2a PARTITION OF s2 FOR VALUES IN (0); CREATE TABLE s2b PARTITION OF s2 DEFAULT;
CREATE TABLE s0 PARTITION OF s DEFAULT;
INSERT INTO s SELECT v::{kind}, i % 2 FROM unnest('{{{0},{1},{2},{4}}}'::text[]) v, generate_series(1, 2) i
"""
BOUNDS = {
    "date": ("2023-01-01", "2023-09-01", "2023-10-01", "2024-01-01", "2030-01-01"),
    "bigint": ("-5", "9", "10", "100", "1000"),
    "bigint + 0": ("-5", "9", "10", "100", "1000"),
    "timestamptz": ("2023-01-01", "2023-10-29 00:00+02", "2023-10-29 00:00+00", "2024-01-01", "2030-01-01"),
}


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_each_column_of_a_key_decides_the_order_of_partitions(order: str, conn: Connection, fill: Callable) -> None:
    conn.execute(
        "CREATE TABLE s (y int, m text, done int) PARTITION BY RANGE (y, m); CREATE SEQUENCE turn;"
        "CREATE TABLE s5 PARTITION OF s FOR VALUES FROM (2023, MAXVALUE) TO (2024, MINVALUE);"
        "CREATE TABLE s3 PARTITION OF s FOR VALUES FROM (2023, 'b') TO (2023, MAXVALUE);"
        "CREATE TABLE s2 PARTITION OF s FOR VALUES FROM (2023, 'a') TO (2023, 'b');"
        "CREATE TABLE s1 PARTITION OF s FOR VALUES FROM (2023, MINVALUE) TO (2023, 'a');"
        "INSERT INTO s VALUES (2023, 'A'), (2023, 'a'), (2023, 'b')"
    )
    conn.execute("CREATE TABLE big (id int); INSERT INTO big SELECT i FROM generate_series(1, 20000) i")
    file = "UPDATE s SET done = nextval('turn') WHERE done IS NULL;\nDELETE FROM big WHERE id > 5"
    result = fill(file, header=f"-- backfill: batched, order {order}\n")
    assert result.code == 0, result.err
    names = [name for (name,) in conn.execute("SELECT tableoid::regclass::text FROM s ORDER BY done").fetchall()]
    assert names == sorted(names, reverse=order == "newest")
    assert len(set(names)) > 1


@pytest.mark.parametrize("kind", BOUNDS)
@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_partitions_are_done_in_the_order_of_their_bounds(
    order: str, kind: str, conn: Connection, fill: Callable
) -> None:
    of, plus, number = kind.partition(" + ")
    conn.execute(ORDERED.format(*BOUNDS[kind], kind=of, key=f"at{plus}{number}").encode())
    conn.execute("CREATE SEQUENCE turn; ALTER TABLE s ADD done int")
    # Enough pages for batches, of rows that count for nothing.
    conn.execute("CREATE TABLE big (id int); INSERT INTO big SELECT i FROM generate_series(1, 20000) i")
    file = "UPDATE s SET done = nextval('turn') WHERE done IS NULL;\nDELETE FROM big WHERE id > 5"
    result = fill(file, header=f"-- backfill: batched, order {order}\n")
    assert result.code == 0, result.err
    found = conn.execute("SELECT tableoid::regclass::text FROM s GROUP BY 1 ORDER BY min(done)").fetchall()
    oldest = ["s0", '"s {1}"', "s2a", "s2b", "s3"]
    expected = oldest if order == "oldest" else oldest[::-1]
    assert [name for (name,) in found] == [name for name in expected if name in {row[0] for row in found}]
    assert len(found) > 3


def test_names_that_need_quotes_and_a_plain_role_that_owns_the_tables(
    conn: Connection, database: str, run_here: Callable, tmp_path: Path
) -> None:
    role = f"fills_{os.getpid()}"
    sql = folder(tmp_path)
    conn.execute(
        f'CREATE ROLE {role} LOGIN; CREATE SCHEMA "S %" AUTHORIZATION {role}; GRANT ALL ON SCHEMA public TO {role}'.encode()
    )
    try:
        conn.execute(f"SET ROLE {role}".encode())
        conn.execute(b'CREATE TABLE "S %"."T{} \'" (id int, "b""x" int, pad text) PARTITION BY RANGE (id)')
        conn.execute(b'CREATE TABLE "S %"."P {0}" PARTITION OF "S %"."T{} \'" DEFAULT')
        conn.execute(b'CREATE TABLE "S %"."new {}%" (id int PRIMARY KEY, "b""x" int)')
        conn.execute(b'INSERT INTO "S %"."T{} \'" SELECT i, i % 7, repeat(\'x\', 400) FROM generate_series(1, 1500) i')
        conn.execute("RESET ROLE")
        (sql / "0001_fill.sql").write_text(
            BATCHED + 'INSERT INTO "S %"."new {}%" /* {} */ SELECT id, "b""x" FROM "S %"."T{} \'" AS "a {}" -- %s\n'
            'WHERE "a {}".id > 5 ON CONFLICT DO NOTHING;\nDELETE FROM "S %"."T{} \'" WHERE "b""x" % 2 = 0 AND pad <> \'{%s}\''
        )
        url = psycopg.conninfo.make_conninfo(database, user=role)
        result = run_here("apply", "--database", url, "--migrations", "sql", cwd=tmp_path)
        assert result.code == 0, result.err
        assert "1,495 rows in" in result.out
        assert one(conn, 'SELECT count(*) FROM "S %"."new {}%"') == 1495
        assert one(conn, 'SELECT count(*) FROM "S %"."T{} \'" WHERE "b""x" % 2 = 0') == 0
    finally:
        conn.execute(f"RESET ROLE; DROP OWNED BY {role} CASCADE; DROP ROLE {role}".encode())


# What a role may do, a statement, what its batches lack.
GRANTS = [
    (
        "SELECT, UPDATE ON parts",
        "UPDATE parts SET a = 1 WHERE a IS NULL",
        "locks rows",
        "SELECT, UPDATE on parts_1: GRANT",
    ),
    ("SELECT, UPDATE ON parts_1, rest, parts", "UPDATE parts SET a = 1 WHERE a IS NULL", "", ""),
    ("SELECT (id, v), UPDATE (v) ON p", "UPDATE p SET v = 1 WHERE v IS NULL", "rows by their place", "SELECT on p"),
    ("SELECT, DELETE ON p", "DELETE FROM p WHERE v = 1", "locks rows", "UPDATE on p: GRANT UPDATE ON p TO grants_"),
    ("SELECT, DELETE, UPDATE (v) ON p", "DELETE FROM p WHERE v = 1", "", ""),
    ("INSERT ON n", "INSERT INTO n SELECT id FROM t ON CONFLICT DO NOTHING", "which rows are there", "SELECT on n"),
    ("SELECT (id), INSERT ON n", "INSERT INTO n SELECT id FROM t ON CONFLICT DO NOTHING", "", ""),
]


def test_privileges_that_batches_need_besides_are_named_before_the_first(
    conn: Connection, run_here: Callable, database: str, tmp_path: Path
) -> None:
    role = f"grants_{os.getpid()}"
    conn.execute(f"{KINDS['plain']}; {REST}; CREATE ROLE {role} LOGIN; GRANT SELECT ON t TO {role}".encode())
    try:
        for grant, statement, why, lacks in GRANTS:
            conn.execute(f"REVOKE ALL ON p, n, parts, parts_1, rest FROM {role}; GRANT {grant.split(' ON ')[0]} ".encode()
                         + f"ON {grant.split(' ON ')[1]} TO {role}; SET ROLE {role}".encode())  # fmt: skip
            targets = find(conn, statements(parser.parse(statement.encode()))[0], skip_triggers=False)
            said = ""
            try:
                refuse_missing_privileges(conn, targets)
            except RefusedError as error:
                said = error.reason
            assert (why in said, lacks in said, bool(said)) == (True, True, bool(lacks)), (grant, statement, said)
            conn.execute("RESET ROLE")
        # A small table takes no batches; what can't be counted is left out.
        conn.execute(
            f"GRANT SELECT (id, v), UPDATE (v) ON p TO {role}; GRANT CREATE ON SCHEMA public TO {role}".encode()
        )
        (folder(tmp_path) / "0001_fill.sql").write_text(f"{BATCHED}UPDATE p SET v = 7 WHERE v IS DISTINCT FROM 7")
        url = psycopg.conninfo.make_conninfo(database, user=role)
        result = run_here("apply", "--database", url, "--migrations", "sql", cwd=tmp_path)
        assert (result.code, one(conn, "SELECT count(*) FROM p WHERE v <> 7")) == (0, 0), result.err
    finally:
        conn.execute(f"RESET ROLE; DROP OWNED BY {role} CASCADE; DROP ROLE {role}".encode())


MISSING = {
    "DELETE FROM nowhere WHERE a = 1": 'relation "nowhere" does not exist',
    "INSERT INTO nowhere SELECT id FROM t ON CONFLICT DO NOTHING": 'relation "nowhere" does not exist',
    "INSERT INTO n SELECT id FROM nowhere ON CONFLICT DO NOTHING": 'relation "nowhere" does not exist',
    "INSERT INTO n SELECT nothing FROM t ON CONFLICT DO NOTHING": 'column "nothing" does not exist',
    "INSERT INTO n (id) SELECT nothing FROM t ON CONFLICT DO NOTHING": 'column "nothing" does not exist',
}


@pytest.mark.parametrize("statement", MISSING)
def test_what_is_not_there_is_the_servers_error_with_its_place(
    statement: str, conn: Connection, fill: Callable
) -> None:
    shown = fill(statement, "--dry-run")
    assert shown.code == 0, shown.err
    assert "-- no plan yet:" in shown.out
    for file in (statement, f"DELETE FROM t WHERE a = 1;\n{statement}"):
        result = fill(file)
        assert result.code == 1, result.out
        assert MISSING[statement] in result.err
        assert f"sql/0001_fill.sql:{file.count(chr(10)) + 2}:" in result.err
    assert one(conn, "SELECT count(*) FROM t") == 1500
