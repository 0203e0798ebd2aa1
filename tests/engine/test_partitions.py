"""An index CONCURRENTLY and constraints on a partitioned table: partition by partition, resumed, and shown by --dry-run."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection

from filling import one
from pgyoyo.cli.main import main  # noqa: F401 - the entry point that run_here calls

TABLES = """
CREATE SCHEMA s; CREATE TABLE p (id int PRIMARY KEY);
CREATE TABLE s."T é" (id int, at date, "C c" int) PARTITION BY RANGE (at);
CREATE TABLE s.t1 PARTITION OF s."T é" FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
CREATE TABLE public."t 2" PARTITION OF s."T é" FOR VALUES FROM ('2024-02-01') TO ('2024-03-01') PARTITION BY LIST (id);
CREATE TABLE s.t2a PARTITION OF "t 2" FOR VALUES IN (1); CREATE TABLE s.t2b PARTITION OF "t 2" DEFAULT;
CREATE TABLE s.rest PARTITION OF s."T é" DEFAULT;
INSERT INTO p SELECT i FROM generate_series(1, 100) i;
INSERT INTO s."T é" SELECT i, '2024-01-01'::date + i, i FROM generate_series(1, 100) i
"""
INVALID = "SELECT count(*) FROM pg_index WHERE NOT indisvalid"
ATTACHED = "SELECT count(*) FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid AND indisvalid"


@pytest.fixture
def pgyoyo(run_here: Callable, database: str, tmp_path: Path, conn: Connection) -> Callable:
    """Applies a file outside a transaction on a partitioned table with partitions of partitions."""
    (tmp_path / "sql").mkdir()
    conn.execute(TABLES.encode())

    def pgyoyo(text: str, *words: str, header: str = "-- transactional: false\n", url: str = database):
        (tmp_path / "sql" / "0001_a.sql").write_text(header + text)
        return run_here(*(words or ("apply",)), "--database", url, "--migrations", "sql", cwd=tmp_path)

    return pgyoyo


INDEXES = {
    "named": 'CREATE INDEX CONCURRENTLY "i x" ON s."T é" ("C c")',
    "no name": 'CREATE INDEX CONCURRENTLY ON s."T é" USING hash (lower("C c"::text))',
    "unique": 'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS u ON s."T é" (at, id) INCLUDE ("C c") -- end',
    "partial": 'CREATE INDEX CONCURRENTLY i ON /* é */ s."T é" (at DESC NULLS LAST) WITH (fillfactor = 70) WHERE "C c" > 5',
}


@pytest.mark.parametrize("kind", INDEXES)
def test_index_is_built_on_each_partition_and_attached(kind: str, conn: Connection, pgyoyo: Callable) -> None:
    shown = pgyoyo(INDEXES[kind], "apply", "--dry-run")
    assert shown.code == 0, shown.err
    assert ' ON ONLY s."T é"' in shown.out or ' ON ONLY "s"."T é"' in shown.out
    assert "INDEX CONCURRENTLY" in shown.out
    assert "ATTACH PARTITION" in shown.out
    result = pgyoyo(INDEXES[kind])
    assert result.code == 0, result.err
    assert one(conn, INVALID) == 0
    assert one(conn, ATTACHED) == 5
    assert one(conn, "SELECT count(*) FROM _pgyoyo_journal") == 0


def test_what_is_there_is_used_and_what_is_broken_is_built_again(conn: Connection, pgyoyo: Callable) -> None:
    conn.execute('CREATE INDEX ready ON s.t1 ("C c"); CREATE INDEX i ON ONLY s."T é" ("C c")')
    conn.execute('CREATE INDEX "rest_i" ON s.rest ("C c"); CREATE UNIQUE INDEX "t2a_i" ON s.t2a ("C c", at)')
    conn.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 's.rest_i'::regclass")
    result = pgyoyo('CREATE INDEX CONCURRENTLY i ON s."T é" ("C c")')
    assert result.code == 0, result.err
    assert one(conn, INVALID) == 0
    counts = "SELECT array_agg(c::int) FROM (SELECT count(*) c FROM pg_index WHERE indrelid IN ('s.t1'::regclass, "
    assert one(conn, counts + "'s.t2a'::regclass, 's.rest'::regclass) GROUP BY indrelid ORDER BY indrelid) n") == [
        1,
        2,
        1,
    ]
    assert one(conn, "SELECT inhparent::regclass::text FROM pg_inherits WHERE inhrelid = 's.ready'::regclass") == "s.i"


def test_names_that_are_taken_get_a_number(conn: Connection, pgyoyo: Callable) -> None:
    """By an index of another table or on other columns, by a table, by the partition itself, which has the longest name."""
    long = "x" * 62
    conn.execute(
        'CREATE TABLE s.u (id int); CREATE INDEX t1_i ON s.u (id); CREATE TABLE "t 2_i" ();'
        "CREATE INDEX rest_i ON s.rest (id);"
        f"CREATE TABLE {long}a PARTITION OF s.\"T é\" FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');"
        f"CREATE TABLE {long}b PARTITION OF s.\"T é\" FOR VALUES FROM ('2021-01-01') TO ('2022-01-01')".encode()
    )
    result = pgyoyo('CREATE INDEX CONCURRENTLY i ON s."T é" ("C c")')
    assert result.code == 0, result.err
    assert one(conn, INVALID) == 0
    names = conn.execute(
        "SELECT c.relname FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid AND relkind IN ('i', 'I')"
    )
    expected = ["t1_i1", "t 2_i1", "t2a_i", "t2b_i", "rest_i1", f"{long}1", f"{long}2"]
    assert sorted(name for (name,) in names.fetchall()) == sorted(expected)


def test_failure_shows_the_place_in_the_file(pgyoyo: Callable, conn: Connection) -> None:
    result = pgyoyo('SELECT 1;\nCREATE INDEX CONCURRENTLY "i x" ON s."T é"\n  (id, nonsense("C c"));')
    assert "sql/0001_a.sql:4:8" in result.err
    assert "function nonsense(integer) does not exist" in result.err
    conn.execute("CREATE EXTENSION postgres_fdw; CREATE SERVER x FOREIGN DATA WRAPPER postgres_fdw") if one(
        conn, "SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'"
    ) else conn.execute("CREATE FOREIGN DATA WRAPPER w; CREATE SERVER x FOREIGN DATA WRAPPER w")
    conn.execute(
        "CREATE FOREIGN TABLE far PARTITION OF s.\"T é\" FOR VALUES FROM ('2030-01-01') TO ('2031-01-01') SERVER x"
    )
    result = pgyoyo('SELECT 1;\nCREATE INDEX CONCURRENTLY "i x" ON s."T é" (id)')
    assert "its partition far is a foreign table, which can have no index" in result.err


def test_index_that_stays_invalid_is_no_success(pgyoyo: Callable, conn: Connection) -> None:
    create = 'CREATE INDEX CONCURRENTLY i ON s."T é" (id)'
    conn.execute(create.replace("CONCURRENTLY ", "").encode())
    conn.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 's.i'::regclass")
    result = pgyoyo(create)
    assert result.code == 1
    assert "the index s.i is not valid, though each partition has one that is attached to it" in result.err
    conn.execute("DROP INDEX s.i")
    assert pgyoyo(create).code == 0
    assert one(conn, INVALID) == 0


@pytest.mark.parametrize(("text", "words"), [
    ('CREATE UNIQUE INDEX CONCURRENTLY i ON s."T é" (at, id)', "there is an index s.i; drop it or choose another name"),
    ('ALTER TABLE s."T é" ADD CONSTRAINT k CHECK (id < 0)', 'constraint "k" for relation "T é" already exists'),
    ('ALTER TABLE s."T é" ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES p',
     'constraint "k" for relation "T é" already exists'),
    ('CREATE INDEX CONCURRENTLY ON s."T é" (id)', "; drop it or choose another name"),
    ('ALTER TABLE s."T é" ADD CONSTRAINT n CHECK (id < 0)', 'constraint "n" for relation "T é" already exists'),
    ('CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON s."T é" (at)', ""),
])  # fmt: skip
def test_what_another_migration_made_under_that_name_is_not_taken_for_it(
    text: str, words: str, conn: Connection, pgyoyo: Callable
) -> None:
    conn.execute('CREATE INDEX i ON s."T é" (id); ALTER TABLE s."T é" ADD CONSTRAINT k CHECK (id > 0)')
    conn.execute(
        'CREATE INDEX ON s."T é" (id) WHERE id > 5; ALTER TABLE s."T é" ADD CONSTRAINT n CHECK (id > 0) NOT VALID'
    )
    assert " n " in text or f"\n{text}\n;" in pgyoyo(f"DROP INDEX i;\n{text}", "apply", "--dry-run").out
    result = pgyoyo(f"SELECT 1;\n{text}")
    assert (result.code, words in result.err) == (bool(words), True), result.err
    assert not words or "what its statements did so far stays" in result.err


def test_check_that_was_edited_after_it_failed_is_not_the_one_before(conn: Connection, pgyoyo: Callable) -> None:
    text = 'ALTER TABLE s."T é" ADD CONSTRAINT k CHECK (id < {})'
    assert pgyoyo(text.format(50)).code == 1
    conn.execute("DELETE FROM s.t2b WHERE id >= 50; DELETE FROM s.rest")
    result = pgyoyo(text.format(20))
    assert (result.code, 'constraint "k" for relation "T é" already exists' in result.err) == (1, True)
    assert pgyoyo(text.format(50)).code == 0


def test_table_without_partitions_gets_its_index(pgyoyo: Callable, conn: Connection) -> None:
    conn.execute("CREATE TABLE e (id int) PARTITION BY LIST (id)")
    assert pgyoyo("CREATE INDEX CONCURRENTLY i ON e (id)").code == 0
    assert one(conn, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass") is True


CONSTRAINTS = {
    "foreign key": 'ALTER TABLE s."T é" ADD CONSTRAINT k FOREIGN KEY ("C c") REFERENCES p',
    "check": 'ALTER TABLE s."T é" ADD CONSTRAINT k CHECK ("C c" > 0)',
    "to validate": 'ALTER TABLE s."T é" ADD CONSTRAINT k CHECK ("C c" > 0) NOT VALID;\n'
    'ALTER TABLE s."T é" VALIDATE CONSTRAINT k',
    "one left to validate": 'ALTER TABLE s."T é" ADD CONSTRAINT k CHECK ("C c" > 0) NOT VALID;\n'
    "ALTER TABLE s.t1 VALIDATE CONSTRAINT k; ALTER TABLE s.t2a VALIDATE CONSTRAINT k;\n"
    'ALTER TABLE s.t2b VALIDATE CONSTRAINT k; ALTER TABLE s."T é" VALIDATE CONSTRAINT k',
    "key not valid": 'ALTER TABLE s."T é" ADD CONSTRAINT k FOREIGN KEY ("C c") /* ß */ REFERENCES p NOT VALID -- not valid\n;'
    'ALTER TABLE s."T é" VALIDATE CONSTRAINT k',
}


@pytest.mark.parametrize("kind", CONSTRAINTS)
def test_constraint_is_validated_partition_by_partition(kind: str, conn: Connection, pgyoyo: Callable) -> None:
    shown = pgyoyo(CONSTRAINTS[kind], "apply", "--dry-run")
    assert shown.code == 0, shown.err
    if kind in ("foreign key", "check"):
        assert shown.out.count("VALIDATE CONSTRAINT") == 4 + (kind == "check"), shown.out
    result = pgyoyo(CONSTRAINTS[kind])
    assert result.code == 0, result.err
    valid = "SELECT count(*) FROM pg_constraint WHERE conname LIKE 'k%' AND convalidated AND conrelid <> 'p'::regclass"
    assert one(conn, valid) == 6
    assert one(conn, "SELECT count(*) FROM pg_constraint WHERE NOT convalidated") == 0
    with pytest.raises(psycopg.errors.IntegrityError):
        conn.execute("INSERT INTO s.\"T é\" VALUES (1, '2024-01-05', -5)")


def test_column_named_valid_is_no_not_valid(conn: Connection, pgyoyo: Callable) -> None:
    conn.execute('ALTER TABLE s."T é" ADD valid boolean')
    result = pgyoyo('ALTER TABLE s."T é" ADD CONSTRAINT k CHECK (NOT valid)')
    assert result.code == 0, result.err
    assert one(conn, "SELECT count(*) FROM pg_constraint WHERE conname = 'k' AND convalidated") == 6


@pytest.mark.parametrize("table", ['public."t 2"', 's."T é"'])
def test_key_of_a_table_between_is_taken_over_with_those_below_and_a_second_one_is_built(
    table: str, conn: Connection, pgyoyo: Callable
) -> None:
    conn.execute(f'ALTER TABLE {table} ADD CONSTRAINT m FOREIGN KEY ("C c") REFERENCES p'.encode())
    result = pgyoyo(CONSTRAINTS["foreign key"])
    assert result.code == 0, result.err
    keys = one(
        conn,
        "SELECT array_agg(conname ORDER BY conname) FROM pg_constraint WHERE conrelid = 's.t2a'::regclass AND contype = 'f'",
    )
    assert keys == (["m"] if table == 'public."t 2"' else ["k", "m"])
    assert (
        one(conn, "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 AND conname = 'k'") == 1
    )
    assert one(conn, "SELECT count(*) FROM pg_constraint WHERE NOT convalidated") == 0


def test_foreign_key_to_another_partitioned_table(conn: Connection, pgyoyo: Callable) -> None:
    conn.execute("CREATE TABLE q (id int PRIMARY KEY) PARTITION BY RANGE (id)")
    conn.execute("CREATE TABLE q1 PARTITION OF q FOR VALUES FROM (0) TO (50); CREATE TABLE q2 PARTITION OF q DEFAULT")
    conn.execute("INSERT INTO q SELECT id FROM p")
    result = pgyoyo('ALTER TABLE s."T é" ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES q')
    assert result.code == 0, result.err
    assert one(conn, "SELECT count(*) FROM pg_constraint WHERE conname = 'k' AND convalidated") == 6
    assert one(conn, "SELECT count(*) FROM pg_constraint WHERE NOT convalidated") == 0
    with pytest.raises(psycopg.errors.IntegrityError):
        conn.execute("INSERT INTO s.\"T é\" VALUES (777, '2024-01-05', 5)")


def test_constraint_that_a_partition_violates_is_resumed_when_that_is_mended(
    conn: Connection, pgyoyo: Callable
) -> None:
    conn.execute('UPDATE s.t2b SET "C c" = 777 WHERE id = 40')
    result = pgyoyo(CONSTRAINTS["foreign key"])
    assert result.code == 1
    assert "violates foreign key constraint" in result.err
    conn.execute('UPDATE s.t2b SET "C c" = 7 WHERE id = 40')
    result = pgyoyo(CONSTRAINTS["foreign key"])
    assert result.code == 0, result.err
    assert one(conn, "SELECT count(*) FROM pg_constraint WHERE NOT convalidated") == 0


INVALID_ON = 'CREATE INDEX i ON ONLY s."T é" {}'


@pytest.mark.parametrize(("there", "text", "words"), [
    (INVALID_ON.format('("C c")'), 'CREATE INDEX CONCURRENTLY i ON s."T é" (id)', "there is another index s.i; drop it"),
    (INVALID_ON.format('("C c")'), 'CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON s."T é" (id)', "there is another index s.i"),
    (INVALID_ON.format("(id) WHERE id > 5"), 'CREATE INDEX CONCURRENTLY i ON s."T é" (id)', "there is another index s.i"),
    (INVALID_ON.format("(id)"), 'CREATE UNIQUE INDEX CONCURRENTLY i ON s."T é" (id, at)', "there is another index s.i"),
    (INVALID_ON.format("(id)"), 'CREATE INDEX CONCURRENTLY i ON s."T é" USING btree (id ASC)', ""),
])  # fmt: skip
def test_index_of_the_name_that_is_not_valid_is_finished_only_if_it_is_the_same(
    there: str, text: str, words: str, conn: Connection, pgyoyo: Callable
) -> None:
    conn.execute(there.encode())
    conn.execute("CREATE INDEX ready ON s.t1 (id)")
    result = pgyoyo(text)
    assert (result.code, words in result.err) == (bool(words), True), result.err
    assert one(conn, ATTACHED) == (0 if words else 5)
    if not words:
        assert one(conn, "SELECT count(*) FROM pg_index WHERE indrelid = 's.t1'::regclass") == 1


def test_dry_run_shows_what_is_there_as_used(conn: Connection, pgyoyo: Callable) -> None:
    conn.execute('CREATE INDEX ready ON s.t1 ("C c")')
    shown = pgyoyo(INDEXES["named"], "apply", "--dry-run").out
    assert "ATTACH PARTITION s.ready" in shown
    assert [f'CONCURRENTLY "{name}_i x"' in shown for name in ("t1", "t2a", "t2b", "rest")] == [False, True, True, True]


@pytest.mark.parametrize("kind", ["check", "foreign key"])
def test_dry_run_over_a_constraint_of_the_name_shows_what_is_sent_and_refused(
    kind: str, conn: Connection, pgyoyo: Callable
) -> None:
    not_valid = " NOT VALID" if kind == "check" or conn.info.server_version >= 180000 else ""
    conn.execute(f"{CONSTRAINTS[kind]}{not_valid}".encode())
    shown = pgyoyo(CONSTRAINTS[kind], "apply", "--dry-run")
    assert shown.code == 0
    assert f"\n{CONSTRAINTS[kind]}\n;" in shown.out
    assert "VALIDATE" not in shown.out
    assert 'constraint "k" for relation "T é" already exists' in pgyoyo(CONSTRAINTS[kind]).err


def test_constraints_of_partitions_that_have_the_name_but_are_others_stay_as_they_are(
    conn: Connection, pgyoyo: Callable
) -> None:
    conn.execute(
        "CREATE TABLE q (id int PRIMARY KEY, u int UNIQUE); INSERT INTO q SELECT id, id FROM p WHERE id < 9;"
        "ALTER TABLE s.t1 ADD CONSTRAINT k FOREIGN KEY (id) REFERENCES q NOT VALID;"
        "ALTER TABLE s.t2a ADD CONSTRAINT k CHECK (id > 5) NOT VALID;"
        'ALTER TABLE s.t2b ADD CONSTRAINT ready FOREIGN KEY ("C c") REFERENCES p'
    )
    result = pgyoyo('ALTER TABLE s."T é" VALIDATE CONSTRAINT k')
    assert 'constraint "k" of relation "T é" does not exist' in result.err
    result = pgyoyo(CONSTRAINTS["foreign key"])
    assert result.code == 0, result.err
    names = "SELECT array_agg(conname ORDER BY conname) FROM pg_constraint WHERE {} AND contype <> 'n'"
    assert one(conn, names.format("NOT convalidated")) == ["k", "k"]
    assert one(conn, names.format("conrelid = 's.t1'::regclass")) == ["k", "k_1"]
    assert one(conn, names.format("conrelid = 's.t2b'::regclass")) == ["ready"]
    assert one(conn, "SELECT count(*) FROM pg_constraint WHERE confrelid = 'p'::regclass AND convalidated") == 6
