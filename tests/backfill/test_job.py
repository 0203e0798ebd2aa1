"""A backfill on a real server: the same rows as one UPDATE gives, nobody held up, nothing lost, resumed after anything."""

import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import Connection

from filling import BATCHED, HELD, RIGHT, ROWS, SLOW, UPDATE, committed, folder, kill, make, one, running, until
from pgyoyo.cli.main import main  # noqa: F401 - the entry point that run_here calls
from pgyoyo.migrations.migration import hash_of
from proxy import Link, Proxy
from running import Runners


@pytest.fixture
def sql(tmp_path: Path) -> Path:
    """The folder of migrations, with a backfill of t."""
    return folder(tmp_path)


@pytest.fixture
def apply(run_here: Callable, database: str, sql: Path) -> Callable:
    """Runs `pgyoyo apply`, or another command, on both."""

    def apply(*args: str, command: str = "apply"):
        return run_here(command, "--database", database, "--migrations", "sql", *args, cwd=sql.parent)

    return apply


def batches(out: str) -> int:
    found = re.search(r"rows in ([\d,]+) batches", out)
    assert found, out
    return int(found[1].replace(",", ""))


# --- The same rows as one UPDATE gives ---

TABLES = {
    "gaps": "CREATE TABLE t (id bigint PRIMARY KEY, a int NOT NULL, b int, pad text);"
    "INSERT INTO t SELECT i::bigint * i * 1000003, i, NULL, repeat('x', 400) FROM generate_series(1, 2000) i",
    "no key": "CREATE TABLE t (a int NOT NULL, b int, pad text);"
    "INSERT INTO t SELECT i % 50, NULL, repeat('x', 400) FROM generate_series(1, 2000) i",
    "composite key": "CREATE TABLE t (x int, y text, a int NOT NULL, b int, pad text, PRIMARY KEY (y, x));"
    "INSERT INTO t SELECT i % 7, 'k' || i, i, NULL, repeat('x', 400) FROM generate_series(1, 2000) i",
    "uuid key": "CREATE TABLE t (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), a int NOT NULL, b int, pad text);"
    "INSERT INTO t (a, pad) SELECT i, repeat('x', 400) FROM generate_series(1, 2000) i",
    "text key": "CREATE TABLE t (id text PRIMARY KEY, a int NOT NULL, b int, pad text);"
    "INSERT INTO t SELECT md5(i::text) || 'é', i, NULL, repeat('x', 400) FROM generate_series(1, 2000) i",
    "unlogged": "CREATE UNLOGGED TABLE t (a int NOT NULL, b int, pad text);"
    "INSERT INTO t SELECT i, NULL, repeat('x', 400) FROM generate_series(1, 2000) i",
    "wide rows": "CREATE TABLE t (a int NOT NULL, b int, pad text); ALTER TABLE t ALTER pad SET STORAGE PLAIN;"
    "INSERT INTO t SELECT i, NULL, repeat('x', 7000) FROM generate_series(1, 200) i",
    "partitions": "CREATE TABLE t (a int NOT NULL, b int, pad text, p int NOT NULL) PARTITION BY RANGE (p);"
    'CREATE TABLE "T 1" (pad text, p int NOT NULL, b int, a int NOT NULL);'
    'ALTER TABLE t ATTACH PARTITION "T 1" FOR VALUES FROM (0) TO (3);'
    "CREATE TABLE t2 PARTITION OF t DEFAULT PARTITION BY HASH (p);"
    "CREATE TABLE t2a PARTITION OF t2 FOR VALUES WITH (MODULUS 2, REMAINDER 0);"
    "CREATE TABLE t2b PARTITION OF t2 FOR VALUES WITH (MODULUS 2, REMAINDER 1);"
    "INSERT INTO t SELECT i, NULL, repeat('x', 400), i % 9 FROM generate_series(1, 4000) i",
    "children": "CREATE TABLE t (a int NOT NULL, b int, pad text); CREATE TABLE c (extra int) INHERITS (t);"
    "INSERT INTO t SELECT i, NULL, repeat('x', 400) FROM generate_series(1, 1200) i;"
    "INSERT INTO c SELECT i, NULL, repeat('x', 400), i FROM generate_series(1, 1200) i",
    "updated before": "CREATE TABLE t (a int NOT NULL, b int, pad text);"
    "INSERT INTO t SELECT i, i, repeat('x', 400) FROM generate_series(1, 2000) i; UPDATE t SET b = NULL WHERE a % 3 = 0",
}


@pytest.mark.parametrize("kind", TABLES)
def test_rows_of_any_table_are_as_one_update_leaves_them(kind: str, conn: Connection, apply: Callable) -> None:
    for statement in TABLES[kind].split(";"):
        conn.execute(statement.encode())
    missing = one(conn, "SELECT count(*) FROM t WHERE b IS NULL")
    conn.execute("CREATE TABLE expected AS SELECT a, CASE WHEN b IS NULL THEN a ELSE b END AS b, pad FROM t")
    result = apply()
    assert result.code == 0, result.err
    assert f"{missing:,} rows in" in result.out
    assert one(conn, "SELECT count(*) FROM (TABLE expected EXCEPT ALL SELECT a, b, pad FROM t) x") == 0
    assert one(conn, "SELECT count(*) FROM t WHERE b IS NULL") == 0
    assert batches(result.out) > 1
    assert one(conn, "SELECT count(*) FROM _pgyoyo_backfill") == 0
    assert one(conn, "SELECT count(*) FROM _yoyo_migration") == 1


def test_only_the_named_table_is_filled_where_it_says_only(conn: Connection, apply: Callable, sql: Path) -> None:
    for statement in TABLES["children"].split(";"):
        conn.execute(statement.encode())
    (sql / "0001_fill.sql").write_text(BATCHED + UPDATE.replace("UPDATE t", "UPDATE ONLY t AS x"))
    assert "1,200 rows in" in apply().out
    assert one(conn, "SELECT count(*) FROM c WHERE b IS NULL") == 1200


def test_names_that_need_quotes_and_a_comment_at_the_end(conn: Connection, apply: Callable, sql: Path) -> None:
    conn.execute('CREATE SCHEMA "S %"')
    conn.execute('CREATE TABLE "S %"."Tä{}" (a int, "b""x" int, pad text)')
    conn.execute('INSERT INTO "S %"."Tä{}" SELECT i, NULL, repeat(\'x\', 400) FROM generate_series(1, 2000) i')
    text = 'UPDATE "S %"."Tä{}" /* é */ SET "b""x" = coalesce(a, 0) -- {} % where\nWHERE "b""x" IS NULL -- the end'
    (sql / "0001_fill.sql").write_text(BATCHED + text)
    result = apply()
    assert "2,000 rows in" in result.out, result.err


def test_another_table_may_be_read(conn: Connection, apply: Callable, sql: Path) -> None:
    make(conn)
    conn.execute(
        "CREATE TABLE u (id int PRIMARY KEY, v int NOT NULL); INSERT INTO u SELECT i, -i FROM generate_series(1, 5000) i"
    )
    conn.execute("ANALYZE")
    (sql / "0001_fill.sql").write_text(BATCHED + "UPDATE t SET b = u.v FROM u WHERE t.b IS NULL AND u.id = t.id;")
    result = apply()
    assert result.code == 0, result.err
    assert "each batch sees the current contents of u;" in result.err
    assert one(conn, "SELECT count(*) FROM t WHERE b <> -id OR b IS NULL") == 0


def test_row_whose_new_value_is_null_is_left_as_it_is(conn: Connection, apply: Callable) -> None:
    make(conn)
    conn.execute("ALTER TABLE t ALTER a DROP NOT NULL")
    conn.execute("UPDATE t SET a = NULL WHERE id % 2 = 0")
    result = apply()
    assert "a may be NULL" in result.err
    assert one(conn, "SELECT count(*) FROM t WHERE b IS NULL AND a IS NOT NULL") == 0
    assert one(conn, "SELECT count(*) FROM t WHERE b IS NULL") != 0


def test_small_table_is_done_in_one_transaction_with_its_record(conn: Connection, apply: Callable) -> None:
    make(conn, 100)
    result = apply()
    assert result.out.splitlines()[0].startswith("applied 0001_fill (")
    assert "batches" not in result.out
    assert one(conn, RIGHT) == 0
    [xmins] = conn.execute("SELECT count(DISTINCT xmin::text) FROM t WHERE id % 7 <> 0").fetchall()
    assert xmins == (1,)


def test_single_transaction_runs_the_update_as_it_stands_and_says_so(conn: Connection, apply: Callable) -> None:
    make(conn)
    result = apply("--single-transaction")
    assert result.code == 0
    # Behind that of a database with tables and without a ledger.
    assert result.err.endswith(
        "\nwarning: sql/0001_fill.sql: it runs as it stands, not in batches, and locks its rows until the end of the "
        "single transaction\n"
    )
    assert one(conn, RIGHT) == 0
    [xmins] = conn.execute("SELECT count(DISTINCT xmin::text) FROM t WHERE id % 7 <> 0").fetchall()
    assert xmins == (1,)


# --- Beside an application ---


def test_row_that_somebody_holds_is_passed_over_and_done_at_the_end(
    conn: Connection, database: str, apply: Callable
) -> None:
    make(conn)
    with psycopg.connect(database) as holder:
        holder.execute("UPDATE t SET pad = 'held' WHERE id = 17")
        with committed(holder, lambda: one(conn, "SELECT count(*) FROM t WHERE b IS NULL") == 1):
            result = apply()
    assert result.code == 0, result.err
    assert one(conn, RIGHT) == 0
    assert one(conn, "SELECT pad FROM t WHERE id = 17") == "held"


def test_row_that_is_held_for_good_ends_the_run_and_names_the_holder(
    conn: Connection, database: str, apply: Callable
) -> None:
    make(conn)
    with psycopg.connect(database, application_name="sleeper") as holder:
        holder.execute("UPDATE t SET pad = 'held' WHERE id = 17")
        result = apply("--give-up-after", "2s")
        assert result.code == 1
        assert "(sleeper, role postgres, idle in transaction" in result.err
        assert "the next run resumes there" in result.err
        assert one(conn, "SELECT count(*) FROM t WHERE b IS NULL") == 1
        assert one(conn, "SELECT count(*) FROM _yoyo_migration") == 0
    result = apply()
    assert result.code == 0
    assert "resuming after" in result.err
    assert one(conn, RIGHT) == 0


def test_application_loses_no_change_and_meets_no_deadlock(
    conn: Connection, database: str, sql: Path, apply: Callable
) -> None:
    """Writers of two rows at a time, in any order, that set the column too; and rows that move and arrive."""
    make(conn)
    conn.execute("CREATE TABLE log (id int, b int)")
    end = threading.Event()
    errors: list[psycopg.Error] = []

    def write(seed: int) -> None:
        with psycopg.connect(database, autocommit=True) as own:
            turn = seed
            while not end.is_set():
                turn += 7919
                first, second = turn % ROWS + 1, (turn * 31) % ROWS + 1
                try:
                    with own.transaction():
                        own.execute("UPDATE t SET pad = pad || 'y' WHERE id = %s", [first])
                        time.sleep(0.001)
                        own.execute("UPDATE t SET b = -1, a = a + 1 WHERE id = %s", [second])
                        own.execute("INSERT INTO log VALUES (%s, -1)", [second])
                        own.execute("INSERT INTO t VALUES (%s, 1, NULL, '2020-01-01', 'new')", [ROWS + turn * 4 + seed])
                except psycopg.errors.UniqueViolation:
                    pass
                except psycopg.errors.DeadlockDetected as error:
                    errors.append(error)

    writers = [threading.Thread(target=write, args=(seed,)) for seed in (1, 2)]
    for one_writer in writers:
        one_writer.start()
    result = apply()
    end.set()
    for one_writer in writers:
        one_writer.join()
    assert result.code == 0, result.err
    assert one(conn, "SELECT count(*) FROM log") != 0
    assert one(conn, "SELECT count(*) FROM t JOIN (SELECT DISTINCT id FROM log) l USING (id) WHERE b <> -1") == 0
    done = f"id <= {ROWS} AND id NOT IN (SELECT id FROM log)"
    assert (
        one(
            conn, f"SELECT count(*) FROM t WHERE {done} AND b IS DISTINCT FROM CASE WHEN id % 7 = 0 THEN -id ELSE a END"
        )
        == 0
    )
    # What may happen to an application without a backfill, two transactions that lock rows crosswise, is its own affair.
    assert [error for error in errors if "pgyoyo" in str(error)] == []


def test_rows_that_go_on_arriving_do_not_keep_it_from_its_end(conn: Connection, database: str, apply: Callable) -> None:
    make(conn, 2000)
    end = threading.Event()

    def insert() -> None:
        with psycopg.connect(database, autocommit=True) as own:
            number = 10_000
            while not end.is_set():
                number += 1
                own.execute("INSERT INTO t VALUES (%s, 1, NULL, '2020-01-01', 'new')", [number])

    thread = threading.Thread(target=insert)
    thread.start()
    result = apply()
    end.set()
    thread.join()
    assert result.code == 0, result.err
    assert one(conn, "SELECT count(*) FROM t WHERE b IS NULL AND id <= 2000") == 0


# --- Triggers and what the catalog rules out ---

TOUCH = """
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$;
CREATE TRIGGER touched {when} UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TABLE audit (id int)
"""
TRIGGERS = {
    "another column": ("BEFORE", "NEW.other := now();", "(touched) also changes column other (10 of 10 rows; "),
    "another table": ("AFTER", "INSERT INTO audit VALUES (NEW.id);", "(touched) also writes to audit, 10 rows for 10"),
    "takes it back": (
        "BEFORE",
        "NEW.b := NULL;",
        "after it is updated; b (integer) is NULL where the UPDATE gives 3; a trigger of t (touched) undoes the change",
    ),
}


@pytest.mark.parametrize("kind", TRIGGERS)
def test_trigger_that_would_do_more_is_told_before_anything_is_done(
    kind: str, conn: Connection, apply: Callable
) -> None:
    make(conn)
    when, body, words = TRIGGERS[kind]
    conn.execute(TOUCH.format(when=when, body=body).encode())
    for rows in (ROWS, 50):
        conn.execute("DELETE FROM t WHERE id > %s", [rows])
        result = apply()
        assert result.code == 1
        assert "sql/0001_fill.sql:2: " in result.err
        assert words in result.err
        assert one(conn, "SELECT count(*) FROM t WHERE b IS NULL") == rows - rows // 7
        assert one(conn, "SELECT count(*) FROM audit") == 0


def test_triggers_are_skipped_or_fire_as_the_header_says(conn: Connection, apply: Callable, sql: Path) -> None:
    make(conn)
    conn.execute(TOUCH.format(when="BEFORE", body="NEW.other := '2021-01-01';").encode())
    (sql / "0001_fill.sql").write_text("-- backfill: batched, triggers skip\n" + UPDATE)
    assert apply().code == 0
    assert one(conn, RIGHT) == 0
    (sql / "0002_more.sql").write_text(
        "-- backfill: batched, target 20ms, triggers fire\nUPDATE t SET b = 7 WHERE b IS DISTINCT FROM 7;"
    )
    assert apply().code == 0
    assert one(conn, "SELECT count(*) FROM t WHERE b = 7 AND other = '2021-01-01'") == ROWS


REFUSED = {
    "view": ("CREATE VIEW v AS SELECT * FROM t", "UPDATE v SET b = a WHERE b IS NULL", "v is a view"),
    "rule": ("CREATE RULE r AS ON UPDATE TO t DO ALSO NOTHING", UPDATE, "the rule r on t rewrites its UPDATEs"),
    "key": ("", "UPDATE t SET id = -1 WHERE id = 5", "it sets id, which identifies the rows of t"),
    "replica identity": ("CREATE UNIQUE INDEX ON t (b)", UPDATE, "it sets b, which identifies"),
    "partition key": ("CREATE TABLE p (a int, b int) PARTITION BY RANGE (a, abs(b)); CREATE TABLE p1 PARTITION OF p DEFAULT",
                      "UPDATE p SET b = 1 WHERE b IS NULL", "it sets b, which identifies the rows of p or chooses their"),
    "volatile off the path": ("CREATE SCHEMA o; CREATE FUNCTION o.f(int) RETURNS bool LANGUAGE sql VOLATILE AS 'SELECT true'",
                              "UPDATE t SET b = a WHERE b IS NULL AND o.f(id)", "its WHERE calls f(), which is volatile"),
    "volatile operator": (("CREATE FUNCTION f(int, int) RETURNS bool LANGUAGE sql VOLATILE AS 'SELECT true';"
                          "CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = f)"),
                          "UPDATE t SET b = a WHERE b IS NULL AND id === a", "its WHERE calls f(), which is volatile"),
    "volatile": ("CREATE FUNCTION f(int) RETURNS bool LANGUAGE sql VOLATILE AS 'SELECT true'",
                 "UPDATE t SET b = a WHERE b IS NULL AND f(id)", "its WHERE calls f(), which is volatile"),
    "view of itself": ("CREATE VIEW v AS SELECT a FROM t; CREATE VIEW w AS TABLE v",
                       "UPDATE t SET b = (SELECT max(a) FROM w) WHERE b IS NULL", "it reads w, a view of the very table"),
    "null and more": ("ALTER TABLE t ALTER a DROP NOT NULL", "UPDATE t SET b = a, other = now() WHERE b IS NULL",
                      "a may be NULL, so the WHERE may stay true"),
    "foreign key": ("CREATE TABLE p (id int PRIMARY KEY); ALTER TABLE t ADD FOREIGN KEY (b) REFERENCES p NOT VALID",
                    "-- triggers skip\n" + UPDATE, "it sets a column of a foreign key"),
    "no index": ("CREATE TABLE u AS SELECT i AS id, repeat('x', 500) AS pad FROM generate_series(1, 40000) i; ANALYZE u",
                 "UPDATE t SET b = u.id FROM u WHERE t.b IS NULL AND u.id = t.id", "each batch would read the whole of u"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_the_catalog_rules_out_is_refused_with_its_line(
    kind: str, conn: Connection, apply: Callable, sql: Path
) -> None:
    make(conn, 2000)
    setup, update, words = REFUSED[kind]
    conn.execute(setup.encode())
    directive = BATCHED.replace("batched", "batched, triggers skip") if "triggers skip" in update else BATCHED
    (sql / "0001_fill.sql").write_text("-- Title.\n" + directive + "\n" + update.removeprefix("-- triggers skip\n"))
    result = apply()
    assert result.code == 1, result.out
    assert "sql/0001_fill.sql:4: " in result.err
    assert words in result.err
    assert one(conn, "SELECT count(*) FROM t WHERE b IS NULL") == 2000 - 2000 // 7
    assert one(conn, "SELECT count(*) FROM _yoyo_migration") == 0


def test_role_that_row_security_hides_rows_from_is_refused(
    conn: Connection, database: str, sql: Path, run_here: Callable
) -> None:
    make(conn, 10)
    role = f"pgyoyo_secured_{os.getpid()}"
    conn.execute("ALTER TABLE t ENABLE ROW LEVEL SECURITY")
    conn.execute(f"CREATE ROLE {role} LOGIN".encode())
    try:
        conn.execute(f"GRANT ALL ON t TO {role}; GRANT CREATE ON SCHEMA public TO {role}".encode())
        url = psycopg.conninfo.make_conninfo(database, user=role)
        result = run_here("apply", "--database", url, "--migrations", "sql", cwd=sql.parent)
        assert "row security hides rows of t from this role" in result.err
    finally:
        conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())


def test_error_of_the_server_is_told_with_its_place(conn: Connection, apply: Callable, sql: Path) -> None:
    make(conn)
    (sql / "0001_fill.sql").write_text(BATCHED + "UPDATE t SET b = a\n  WHERE b IS NULL AND nonsense > 1;")
    result = apply()
    assert "sql/0001_fill.sql:3:23:" in result.err
    (sql / "0001_fill.sql").write_text(BATCHED + "UPDATE t SET b = a / (id - 3991) WHERE b IS NULL;")
    result = apply()
    assert "sql/0001_fill.sql:2: in UPDATE t:" in result.err
    assert "division by zero" in result.err
    assert "the next run resumes there" in result.err


# --- Interrupted and resumed ---


@pytest.mark.parametrize("ending", ["killed", "lost", "interrupted", "terminated"])
def test_interrupted_run_is_gone_on_with(
    ending: str, conn: Connection, database: str, sql: Path, apply: Callable, runners: Runners
) -> None:
    make(conn)
    with running(runners, database, sql, *SLOW) as runner:
        status = apply(command="status").out
        assert re.search(r"pending  0001_fill  backfill running: \d+%  [\d,]+ rows  [\d,]+ rows/s  .* left", status), (
            status
        )
        if ending == "lost":
            conn.execute("SELECT pg_terminate_backend(pid) FROM _pgyoyo_backfill")
        else:
            runner.kill({"killed": 9, "interrupted": signal.SIGINT, "terminated": signal.SIGTERM}[ending])
        code, err = runner.wait(), runner.err
    assert code == {"killed": -9, "lost": 1, "interrupted": 130, "terminated": 143}[ending], err
    if ending in ("interrupted", "terminated"):
        assert "rows are done and stay; the next pgyoyo apply resumes there" in err
    if ending == "lost":
        assert "looked up afterwards: 0001_fill is not applied" in err
    # The server notices a dead client within seconds.
    until(lambda: one(conn, HELD) == 0)
    [progress] = json.loads(apply("--format", "json", command="status").out)["backfills"]
    left = one(conn, "SELECT count(*) FROM t WHERE b IS NULL")
    assert isinstance(left, int)
    assert progress["state"] == "interrupted"
    assert progress["rows"] == ROWS - ROWS // 7 - left
    assert 0 < progress["fraction"] < 1
    result = apply()
    assert result.code == 0, result.err
    assert f"resuming after {progress['rows']:,} rows" in result.err
    # Neither was a row done again, nor one left out.
    assert f"{ROWS - ROWS // 7:,} rows in" in result.out
    assert one(conn, RIGHT) == 0
    assert one(conn, "SELECT count(*) FROM _pgyoyo_backfill") == 0
    assert conn.execute("SELECT finished_at > started_at FROM _pgyoyo_migration").fetchall() == [(True,)]


def test_table_that_is_written_anew_meanwhile_is_begun_again(
    conn: Connection, database: str, sql: Path, apply: Callable, runners: Runners
) -> None:
    make(conn)
    with running(runners, database, sql, *SLOW) as runner:
        conn.execute("VACUUM FULL t")
        runner.kill()
    result = apply()
    assert "t was rewritten meanwhile (VACUUM FULL, CLUSTER); starting again at its first page" in result.err
    assert one(conn, RIGHT) == 0


def test_changed_update_is_not_gone_on_with(
    conn: Connection, database: str, sql: Path, apply: Callable, runners: Runners
) -> None:
    make(conn)
    with running(runners, database, sql, *SLOW) as runner:
        kill(runner, conn)
    (sql / "0001_fill.sql").write_text("-- Only a comment is new.\n" + BATCHED + UPDATE.replace("b = a", "b = a + 1"))
    result = apply()
    assert result.code == 4
    assert "sql/0001_fill.sql:3: its UPDATE was changed after" in result.err
    assert apply("1", "--done", command="settle").code == 2
    assert "will begin again at the first page" in apply("0001_fill", "--again", command="settle").out
    assert apply().code == 0
    assert one(conn, "SELECT count(*) FROM t WHERE b IS NULL") == 0


# --- Waiting for others ---


def test_waits_while_wal_is_kept_for_somebody_and_says_so(
    conn: Connection, database: str, sql: Path, apply: Callable
) -> None:
    make(conn)
    (sql.parent / "pyproject.toml").write_text('[tool.pgyoyo.backfill]\nmax-wal = "1kB"\nlock-timeout = "50ms"\n')
    slot = f"pgyoyo_{os.getpid()}"
    conn.execute("SELECT pg_create_physical_replication_slot(%s, true)", [slot])
    try:
        result = apply("--give-up-after", "2s")
    finally:
        conn.execute("SELECT pg_drop_replication_slot(%s)", [slot])
    assert result.code == 1
    assert re.search(rf"waiting: [\d.]+ \w+ of WAL are kept for slot {slot} \(inactive\), more than 1 kB", result.err)
    assert "gave up waiting" in result.err
    assert "Fix the file" not in result.err
    result = apply()
    assert result.code == 0, result.err
    assert one(conn, RIGHT) == 0


def test_batch_that_takes_too_long_is_halved(conn: Connection, apply: Callable, sql: Path) -> None:
    make(conn, 1200)
    conn.execute(TOUCH.format(when="BEFORE", body="PERFORM pg_sleep(0.0005);").encode())
    (sql / "0001_fill.sql").write_text("-- statement-timeout: 30ms\n" + BATCHED + UPDATE)
    result = apply()
    assert result.code == 0, result.err
    assert one(conn, RIGHT) == 0


# --- What will run, and what did ---


def test_time_on_the_line_does_not_make_batches_small(
    conn: Connection, database: str, run_here: Callable, sql: Path
) -> None:
    """The message of each batch takes twice as long on its way as a batch shall take on the server."""

    def slow(link: Link, what: str, number: int, data: bytes) -> bytes:
        if what == "request" and b"UPDATE t" in data:
            time.sleep(0.15)
        return data

    counts = []
    for hook in (lambda link, what, number, data: data, slow):
        conn.execute("DROP TABLE IF EXISTS t, _yoyo_migration, _pgyoyo_migration")
        make(conn, 3_000)
        with Proxy(database, hook) as proxy:
            result = run_here("apply", "--database", proxy.conninfo, "--migrations", "sql", cwd=sql.parent)
        assert result.code == 0, result.err
        assert one(conn, RIGHT) == 0
        counts.append(batches(result.out))
    assert counts[1] <= 2 * counts[0], counts


def test_dry_run_shows_the_batch_and_its_plan_and_sends_nothing(conn: Connection, apply: Callable) -> None:
    make(conn)
    result = apply("--dry-run")
    assert result.code == 0
    assert "UPDATE t SET b = a WHERE ( b IS NULL\n) AND \"t\".ctid OPERATOR(pg_catalog.>=) '(0,0)'" in result.out
    assert "-- " in result.out
    assert "Tid Range Scan on t" in result.out
    assert one(conn, "SELECT count(*) FROM t WHERE b IS NULL") == ROWS - ROWS // 7
    assert one(conn, "SELECT count(*) FROM pg_class WHERE relname LIKE '\\_%yoyo\\_%'") == 0


def test_dry_run_before_the_column_is_there_says_that_there_is_no_plan_yet(
    conn: Connection, apply: Callable, sql: Path
) -> None:
    (sql / "0000_add.sql").write_text("CREATE TABLE t (a int, b int);")
    result = apply("--dry-run")
    assert result.code == 0
    assert "-- no plan yet:" in result.out
    conn.execute("CREATE TABLE t (a int)")
    (sql / "0000_add.sql").write_text("ALTER TABLE t ADD COLUMN b int;")
    result = apply("--dry-run")
    assert result.code == 0
    assert "does not exist (SQLSTATE 42703)" in result.out


def test_account_tells_rows_time_waits_and_growth(conn: Connection, apply: Callable) -> None:
    make(conn)
    lines = apply().out.splitlines()
    assert re.fullmatch(
        r"    3,429 rows in \d+ batches, [\d,]+ rows/s, \d+% of the time in batches; longest batch \d+ ms, "
        r"longest wait it caused: \d+ ms",
        lines[1],
    )
    assert re.fullmatch(
        r"    the server wrote [\d.]+ [kM]B of WAL meanwhile; t grew from [\d.]+ MB to [\d.]+ MB, "
        r"its indexes from [\d.]+ kB to [\d.]+ kB",
        lines[2],
    )


def test_wait_that_it_caused_is_measured(conn: Connection, database: str, sql: Path, runners: Runners) -> None:
    """One session comes back to a row; a trigger keeps the batch that has it until that session waits."""
    make(conn, 1200)
    writer = conn.info.backend_pid
    waits = f"pid = {writer} AND NOT granted AND waitstart < clock_timestamp() - interval '5 ms'"
    kept = f"""
      IF OLD.id = 600 AND pg_backend_pid() <> {writer} THEN
        FOR n IN 1 .. 2000 LOOP
          EXIT WHEN EXISTS (SELECT FROM pg_locks WHERE {waits});
          PERFORM pg_sleep(0.01);
        END LOOP;
      END IF;"""
    conn.execute(TOUCH.format(when="BEFORE", body=kept).encode())
    with running(runners, database, sql) as runner:
        while runner.alive:
            conn.execute("SELECT FROM t WHERE id = 600 FOR UPDATE")  # which leaves it where its batch finds it
        assert runner.wait() == 0, runner.err
    found = re.search(r"longest wait it caused: (\d+) ms", runner.out)
    assert found, runner.err
    assert int(found[1]) > 0


def test_mark_forgets_an_interrupted_backfill(
    conn: Connection, database: str, sql: Path, apply: Callable, runners: Runners
) -> None:
    make(conn)
    with running(runners, database, sql, *SLOW) as runner:
        kill(runner, conn)
    assert apply("1", command="mark").code == 0
    assert one(conn, "SELECT count(*) FROM _pgyoyo_backfill") == 0
    assert hash_of("0001_fill") == one(conn, "SELECT migration_hash FROM _yoyo_migration")
