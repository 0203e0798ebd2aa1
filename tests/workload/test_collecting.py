"""pgyoyo queries: what it takes from files, logs and pg_stat_statements, and what it keeps out."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from own_server import own_server
from pgyoyo.errors import UsageError
from pgyoyo.sql import tree
from pgyoyo.workload import logs, server_statistics
from pgyoyo.workload.collecting import Collected, collected, notes
from pgyoyo.workload.description import Refusal, describe
from pgyoyo.workload.statements import Query, written

MESSAGES = (
    "statement: SELECT 'secret',\n\tid FROM a",
    "execute <unnamed>: SELECT id FROM a WHERE id = $1",
    "duration: 0.301 ms  parse <unnamed>: SELECT parsed FROM a",
    "duration: 0.301 ms  execute s1: SELECT id FROM a WHERE id = $1",
    "statement: BEGIN; UPDATE a SET id = 1; COMMIT",
    "checkpoint starting: time",
)
EXPECTED = {("SELECT $1,\n\tid FROM a", 1), ("SELECT id FROM a WHERE id = $1", 2), ("UPDATE a SET id = $1", 1)}


def jsonlog(*messages: str) -> str:
    return "".join(json.dumps({"error_severity": "LOG", "message": message}) + "\n" for message in messages)


def csvlog(*messages: str) -> str:
    file = io.StringIO()
    csv.writer(file).writerows(
        ["2026-01-01 10:00:00.000 CET", "u", "d", 7, "[local]", *["x"] * 6, "LOG", "00000", message, *[""] * 12]
        for message in messages
    )
    return file.getvalue()


def stderr(*messages: str) -> str:
    lines = (message.replace("\n", "\n\t") for message in messages)
    return "".join(f"2026-01-01 [7] u@d LOG:  {line}\n2026-01-01 [7] u@d DETAIL:  x\n" for line in lines)


@pytest.mark.parametrize(
    "text", [jsonlog(*MESSAGES), csvlog(*MESSAGES), stderr(*MESSAGES)], ids=["jsonlog", "csvlog", "stderr"]
)
def test_a_log_gives_its_statements_without_values(tmp_path: Path, text: str) -> None:
    (tmp_path / "log").write_text(text)
    result = collected(logs.queries(tmp_path / "log"), keep_literals=False)
    assert {(query.text, query.calls) for query in result.queries} == EXPECTED


def test_a_log_may_begin_with_a_long_statement(tmp_path: Path) -> None:
    long = f"statement: SELECT '{'x' * (1 << 21)}' FROM a"
    for text in (csvlog(long), jsonlog(long), stderr(long)):
        (tmp_path / "log").write_text(text)
        assert [len(query.text) for query in logs.queries(tmp_path / "log")] == [len(long) - len("statement: ")]


def test_a_log_without_statements_is_refused_with_the_settings(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("hello\n")
    with pytest.raises(UsageError, match="log_statement = 'all'"):
        list(logs.queries(tmp_path / "log"))


@pytest.mark.parametrize(
    "text",
    [
        "SELECT interval '1 day', date '2026-01-01' FROM pg_class c, a",
        "SELECT timestamp with time zone '2026-01-01', double precision '1', int '4', now() AT TIME ZONE 'UTC' FROM a",
        "SELECT extract(year FROM now()) FROM a",
        "SELECT id FROM a WHERE id IN ($1 /*, ... */)",
        "SELECT id /* trace='secret' */ FROM a -- secret\nORDER BY 1 LIMIT 5",
        "INSERT INTO a VALUES (-1), ($1)",
        "SELECT/* secret */id/**/FROM a",
        "SELECT id FROM a WHERE id::text = E'secret' OR id = $2",
    ],
)
def test_what_is_kept_holds_no_value_and_can_be_prepared(conn: psycopg.Connection, text: str) -> None:
    conn.execute("CREATE TABLE a (id int)")
    (query,) = collected([Query(text)], keep_literals=False).queries
    assert not {"secret", "2026", "..."} & set(query.text.replace("'", " ").split())
    if "$2" not in text:
        (answer,) = describe(conn, [query.text])
        assert not isinstance(answer, Refusal), answer


def test_statements_of_tools_and_utility_statements_are_left_out_and_a_cut_one_is_named_without_its_values() -> None:
    texts = (
        "BEGIN",
        "SELECT query FROM x.pg_stat_statements",
        "SELECT relname FROM pg_catalog.pg_class",
        "DELETE FROM _yoyo_migration",
        "SELECT FROM  WHERE 'secret'",
        "SELECT\n\tid FROM a WHERE name = 'cut",
        "COPY a FROM STDIN",
        "SET x = 1; SHOW x; FETCH 5 FROM c; EXECUTE p (1)",
        "SELECT 1",
        "SELECT current_schema(), pg_catalog.version()",
        "WITH c (n) AS (SELECT oid FROM pg_catalog.pg_class) SELECT set_config('a', 'b', false) FROM c",
    )
    result = collected(map(Query, texts), keep_literals=False)
    assert result == Collected(
        (), ("SELECT FROM WHERE …", "SELECT id FROM a WHERE name = …", "COPY a FROM STDIN …"), 11
    )
    assert notes(result)[1:] == [f"  {text}" for text in result.left_out]


@pytest.mark.parametrize(("table", "kept"), [
    ("_yoyo_migration", False), ("_yoyo_log", False), ("yoyo_lock", False), ("_pgyoyo_journal", False), ("ledger", False),
    ("yoyo_toys", True), ("toy_yoyos", True), ("ledger_2", True),
])  # fmt: skip
def test_only_the_tables_of_the_ledger_are_left_out_by_name(table: str, kept: bool) -> None:
    result = collected([Query(f"SELECT id FROM {table}")], keep_literals=False, ledger="ledger")
    assert bool(result.queries) == kept


def test_a_table_of_the_name_of_a_cte_elsewhere_is_kept() -> None:
    texts = ("WITH c AS (SELECT 1) SELECT * FROM c, s.c", "WITH c AS (DELETE FROM a RETURNING *) SELECT * FROM c")
    assert len(collected(map(Query, texts), keep_literals=False).queries) == 2


@pytest.mark.parametrize("text", ["SELECT " + "1+" * 1000 + "1 FROM a", "SELECT b FROM a WHERE " + "NOT " * 1000 + "b"])
def test_what_is_too_deep_for_the_parser_is_named(text: str) -> None:
    assert len(collected([Query(text)], keep_literals=False).left_out) == 1


HANDED_ON = {
    "DECLARE c CURSOR WITH HOLD FOR SELECT id FROM a FOR UPDATE": "SELECT id FROM a FOR UPDATE",
    "PREPARE p (int, text) AS SELECT id FROM a WHERE id = $1": "SELECT id FROM a WHERE id = $1",
    "EXPLAIN (ANALYZE, FORMAT json) DELETE FROM a": "DELETE FROM a",
    "EXPLAIN (SELECT id FROM a)": "(SELECT id FROM a)",
    "EXPLAIN ANALYZE VERBOSE DECLARE c CURSOR FOR TABLE a": "TABLE a",
    "COPY (SELECT id, (name) FROM a) TO STDOUT WITH (FORMAT csv)": "SELECT id, (name) FROM a",
    'COPY public."A"("Id", name) FROM STDIN': 'INSERT INTO public."A" ("Id", name) VALUES ($1, $2)',
    "COPY a (id) TO STDOUT": "SELECT id FROM a",
    "COPY a TO STDOUT": "SELECT * FROM a",
    "CREATE TEMP TABLE b (x) AS SELECT id AS y FROM a WITH NO DATA": "SELECT id AS y FROM a",
    "SELECT id INTO TEMP TABLE public.b FROM a": "SELECT id FROM a",
    "CREATE TABLE b AS EXECUTE p": "",
    "EXPLAIN EXECUTE p (1)": "",
}


@pytest.mark.parametrize("text", HANDED_ON)
def test_what_another_statement_hands_on_is_kept(text: str) -> None:
    queries = collected([Query(text, calls=2)], keep_literals=False).queries
    assert queries == ((Query(HANDED_ON[text], calls=2),) if HANDED_ON[text] else ())


def test_the_same_statement_in_other_words_is_one_and_named_by_its_file() -> None:
    named = Query("SELECT id,\n       name\nFROM a\nWHERE id = $1", "find")
    texts = ("select ID, name from A where id=$2", "SELECT id, name FROM a /* x */ WHERE id = 5 -- y")
    logged = [Query(text, calls=3) for text in texts]
    for order in ([named, *logged], [*logged, named], [logged[1], named, logged[0]]):
        assert collected(order, keep_literals=False).queries == (replace(named, calls=6),)
    for order in (logged, logged[::-1]):
        assert collected(order, keep_literals=False).queries == (Query("select ID, name from A where id=$1", calls=6),)
    assert len(collected([Query('SELECT "a" FROM b'), Query('SELECT "A" FROM b')], keep_literals=False).queries) == 2


@pytest.mark.parametrize(
    ("head", "item", "tail", "expected"),
    [
        (
            "INSERT INTO a (b, c) VALUES ",
            "({n}, 'x''{n}')",
            " RETURNING b",
            "INSERT INTO a (b, c) VALUES ($1, $2) RETURNING b",
        ),
        ("INSERT INTO a (b, c) VALUES ", "(${n}, lower(${n}))", "", "INSERT INTO a (b, c) VALUES ($1, lower($1))"),
        ("SELECT b FROM a WHERE c IN (", "{n}", ") AND d = 5", "SELECT b FROM a WHERE c IN ($1) AND d = $2"),
        ("SELECT b FROM a WHERE c = ANY (ARRAY[", "{n}", "])", "SELECT b FROM a WHERE c = ANY ($1)"),
    ],
)
def test_a_list_of_any_length_is_read(head: str, item: str, tail: str, expected: str) -> None:
    text = head + ", ".join(item.format(n=n) for n in range(1, 100_000 // len(item))) + tail
    assert len(text) > tree.LONGEST
    assert collected([Query(text)], keep_literals=False) == Collected((Query(expected),))
    assert len(collected([Query(text)], keep_literals=True).left_out) == 1


def test_folders_keep_names_and_number_the_parameters(run_here: Callable, tmp_path: Path) -> None:
    folder = tmp_path / "app"
    folder.mkdir()
    (folder / "a.sql").write_text(
        "-- name: find^\nSELECT id FROM a WHERE id = :id\n-- :name Add :insert\nINSERT INTO a VALUES (%(id)s, 'x');\n"
    )
    (tmp_path / "pyproject.toml").write_text("[tool.pgyoyo]\nmigrations = ['m']\n")
    shown = run_here("queries", "--sql", str(folder))
    assert "-- name: Add\nINSERT INTO a VALUES ($1, $2);\n" in shown.out
    assert "-- name: find\nSELECT id FROM a WHERE id = $1;\n" in shown.out
    assert "'x'" in run_here("queries", "--sql", str(folder), "--keep-literals").out
    (folder / "a.sql").write_text("CREATE TABLE a (id int); SET x = 1")
    shown = run_here("queries", "--sql", str(folder), "--output", "q.sql")
    assert (shown.code, (tmp_path / "q.sql").exists()) == (2, False)
    assert "nothing to write: of 2 statements none reads or writes rows" in shown.err
    (folder / "b.sql").write_text("SELECT id FROM a;\nSELECT {{ columns }} FROM a;\nSELECT FROM WHERE")
    shown = run_here("queries", "--sql", str(folder))
    assert shown.code == 0
    assert shown.out.endswith("\nSELECT id FROM a;\n")
    assert 'b.sql:2: left out: syntax error at or near "{"' in shown.err
    assert "b.sql:3: left out: syntax error" in shown.err


def test_files_that_it_wrote_are_merged_with_their_names_and_calls(run_here: Callable, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.pgyoyo]\nmigrations = ['m']\n")
    queries = [Query("SELECT id FROM a", "all_ids", 5), Query("SELECT id FROM a WHERE id = $1", calls=2)]
    for name, kept in (("a.sql", queries), ("b.sql", queries[1:])):
        (tmp_path / name).write_text(written(kept))
    shown = run_here("queries", "--sql", "a.sql", "--sql", "b.sql")
    assert shown.out == written([queries[0], replace(queries[1], calls=4)])


def test_a_database_without_pg_stat_statements_says_what_to_do(conn: psycopg.Connection) -> None:
    with pytest.raises(UsageError, match="CREATE EXTENSION pg_stat_statements"):
        server_statistics.queries(conn)


def test_an_extension_that_is_not_loaded_says_what_to_do(conn: psycopg.Connection) -> None:
    try:
        conn.execute('CREATE SCHEMA "s s"; CREATE EXTENSION pg_stat_statements SCHEMA "s s"')
    except psycopg.Error:
        pytest.skip("the server has no pg_stat_statements")
    with pytest.raises(UsageError, match="shared_preload_libraries"):
        server_statistics.queries(conn)


def test_a_real_server_gives_the_same_statements_by_its_statistics_and_its_log(
    conn: psycopg.Connection, run_here: Callable, tmp_path: Path
) -> None:
    if not conn.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'pg_stat_statements'").fetchone():
        pytest.skip("the server has no pg_stat_statements")
    settings = {"shared_preload_libraries": "pg_stat_statements", "log_statement": "all"}
    with own_server(settings, memory=True) as server:
        urls = []
        for name in ("one", "two"):
            server.ensure_database(name)
            urls += ["--database", server.url(name)]
            with psycopg.connect(server.conninfo(name), autocommit=True) as app:
                app.execute("CREATE EXTENSION pg_stat_statements; CREATE TABLE a (id int, d date)")
                app.execute("SELECT id FROM a\n\tWHERE id = %s\n  AND d > date '2026-01-01'", (7,))
                plain = psycopg.ClientCursor(app)
                plain.execute("UPDATE a SET id = %s -- 'x'", (3,))
                plain.execute("SELECT date_trunc('day', d) FROM a WHERE id IN (1, 2) GROUP BY date_trunc('day', d)")
                plain.execute("BEGIN; DECLARE c CURSOR FOR SELECT id FROM a WHERE id <> ALL (ARRAY[5]); FETCH 1 FROM c")
                plain.execute("COMMIT")
                plain.execute("PREPARE p AS SELECT d FROM a WHERE id = $1")
                plain.execute("EXECUTE p (7)")
                plain.execute("INSERT INTO a VALUES (1, now()), (2, now())")
                with plain.copy("COPY a (d) FROM STDIN") as copy:
                    copy.write("2026-01-01\n")
                plain.execute("SET pg_stat_statements.track = 'all'")
                plain.execute("DO 'BEGIN DELETE FROM a; END'")
        (tmp_path / "pyproject.toml").write_text("[tool.pgyoyo]\nmigrations = ['m']\n")
        counted = run_here("queries", *urls)
        logged = run_here("queries", "--log", str(server.log))
    assert (counted.code, logged.code) == (0, 0), counted.err + logged.err
    entry = "-- calls: 2\nSELECT id FROM a\n\tWHERE id = $1\n  AND d > CAST($2 AS date);\n"
    assert entry in counted.out
    assert "-- calls: 2\nSELECT d FROM a WHERE id = $1;" in counted.out
    assert "-- calls: 2\nUPDATE a SET id = $1;\n" in counted.out
    assert logged.out == counted.out
