"""The file of sizes: what it holds, what a review makes of it, and what it says to a file that is none."""

import json
from pathlib import Path

import psycopg
import pytest

import staging
from pgyoyo.errors import UsageError
from pgyoyo.review import live, sizes, target
from pgyoyo.review.rules import rulebook
from pgyoyo.review.sheet import LiveTable

TABLES = {
    "0001_events": (
        "CREATE TABLE events (id integer PRIMARY KEY, kind text);\nCREATE TABLE kinds (name text);",
        "-- lossy: all\nDROP TABLE events;\nDROP TABLE kinds;",
    ),
    "0002_index": ("CREATE INDEX kinds_idx ON kinds (name);", "DROP INDEX kinds_idx;"),
    "0003_index": ("CREATE INDEX events_idx ON events (kind);", "DROP INDEX events_idx;"),
    "0004_both": (
        "ALTER TABLE kinds ADD UNIQUE (name);\nALTER TABLE events ADD CHECK (kind <> '');",
        "ALTER TABLE events DROP CONSTRAINT events_kind_check;\nALTER TABLE kinds DROP CONSTRAINT kinds_name_key;",
    ),
}


def test_sizes_are_names_counts_and_bytes_of_all_tables_even_while_one_is_altered(
    database: str, conn: psycopg.Connection, tmp_path: Path, run_here
) -> None:
    conn.execute(
        """
        CREATE TABLE "Ev""ents" (id integer PRIMARY KEY, secret text);
        INSERT INTO "Ev""ents" SELECT n, repeat('xyzzy', 100) FROM generate_series(1, 12345) AS n;
        CREATE TABLE days (at date, n integer) PARTITION BY RANGE (at);
        CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE INDEX ON days (n);
        INSERT INTO days SELECT '2026-01-01', n FROM generate_series(1, 1000) AS n;
        CREATE MATERIALIZED VIEW sums AS SELECT count(*) FROM days;
        CREATE VIEW v AS SELECT 1;
        CREATE TABLE never_analyzed ();
        """
    )
    conn.execute("""VACUUM ANALYZE "Ev""ents", days, sums""")
    command = ["sizes", "--database", database]
    shown = run_here(*command)
    assert (shown.code, shown.err) == (0, "")
    assert "xyzzy" not in shown.out
    content = json.loads(shown.out)
    assert list(content["tables"]) == [
        'public."Ev""ents"',
        "public.days",
        "public.days_1",
        "public.never_analyzed",
        "public.sums",
    ]
    events = content["tables"]['public."Ev""ents"']
    assert (events["rows"], events["indexes"]) == (12300, 1), "rounded, so that a few rows more leave the file as it is"
    assert events["bytes"] > 6_000_000
    assert content["tables"]["public.days"] == content["tables"]["public.days_1"], "the sum of the partitions"
    assert content["tables"]["public.never_analyzed"]["rows"] is None
    assert content["server_version"] == conn.info.server_version
    with psycopg.connect(database) as altering:
        altering.execute('LOCK TABLE "Ev""ents"')
        assert run_here(*command, "--output", "sizes.json").out == "wrote sizes.json: 5 tables\n"
    read = sizes.read(tmp_path / "sizes.json")
    assert read.tables.keys() == content["tables"].keys()
    exact = target.tables(conn)
    assert read.tables["public.days"].rows == 1000
    for name, table in read.tables.items():
        assert table.size == pytest.approx(exact[name].size, rel=0.1, abs=50_000)


def test_rows_are_those_that_fill_the_pages_there_are_now(
    database: str, conn: psycopg.Connection, tmp_path: Path, run_here
) -> None:
    fill = "INSERT INTO t SELECT n FROM generate_series(1, {}) AS n"
    conn.execute(f"CREATE TABLE t (id integer) WITH (autovacuum_enabled = false); {fill.format(5000)}".encode())
    conn.execute("ANALYZE t")
    conn.execute(fill.format(45_000).encode())
    done = run_here("sizes", "--database", database, "--migrations", tmp_path)
    assert json.loads(done.out)["tables"]["public.t"]["rows"] == pytest.approx(50_000, rel=0.1)


def test_review_without_a_login_shows_the_sizes_of_the_file_and_findings_on_small_tables_are_notes(
    tmp_path: Path, run_here, server_conninfo: str
) -> None:
    staging.write(tmp_path / "sql", TABLES)
    tables = {
        "public.events": LiveTable(48_000_000, 6_600_000_000, 1, 1_000_000_000, None, None),
        "public.kinds": LiveTable(20, 8192, 0, 0, None, None),
    }
    (tmp_path / "sizes.json").write_text(sizes.written(180000, tables))
    command = ["review", "--migrations", "sql", "--scratch", server_conninfo, "--format", "json", "2", "3", "4"]
    shown = run_here(*command, "--sizes", "sizes.json")
    content = json.loads(shown.out)
    severities = [
        {each["rule"]: each["severity"] for each in migration["findings"]} for migration in content["migrations"]
    ]
    assert severities[0]["index-not-concurrently"] == "note"
    assert severities[1]["index-not-concurrently"] == "error"
    assert severities[2]["unique-builds-index"] == "note", "the first statement works on kinds only"
    assert severities[2]["check-scans"] == "error", "the second on events"
    [note] = [each for each in content["migrations"][0]["findings"] if each["rule"] == "index-not-concurrently"]
    assert note["happens"].endswith("small there: kinds (8 kB)")
    assert content["migrations"][1]["live"]["public.events"]["rows"] == 48_000_000
    assert (content["database"], shown.code) == ("sizes.json", 1)
    settings = '[tool.pgyoyo.review]\nsizes = "sizes.json"\nsmall = "7kB"\n'
    (tmp_path / "pyproject.toml").write_text(settings)
    one = [*command[:-3], "2"]
    [kept] = json.loads(run_here(*one).out)["migrations"]
    assert kept["worst"] == "error", "a table of 8 kB is not below 7"
    [kept] = json.loads(run_here(*one, "--small", "9kB").out)["migrations"]
    assert kept["worst"] == "note", "the option counts more than the setting"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "No such file or directory; write it with: pgyoyo sizes"),
        ("", "sizes.json:1: not valid JSON: Expecting value; write it again"),
        ('{"format": 1,\n}', "sizes.json:2: not valid JSON"),
        ("[]", 'was not written by pgyoyo sizes: it has no "tables"'),
        ('{"tables": [], "format": 1}', 'it has no "tables"'),
        ('{"tables": {}, "format": 2}', '"format" is 2, 1 is known'),
        ('{"tables": {}, "format": 1, "server_version": "16"}', "\"server_version\" is '16'; it must be a number"),
        ('{"tables": {"t": 3}, "format": 1, "server_version": 1}', '"t" is 3; it must be an object with rows, bytes'),
        ('{"tables": {"t": {"row": 3}}, "format": 1, "server_version": 1}', 'unknown key "row" of "t"; did you mean rows?'),
        ('{"tables": {"t": {"rows": -1}}, "format": 1, "server_version": 1}', '"rows" of "t" is -1; it must be a whole'),
        ('{"tables": {"t": {"rows": true}}, "format": 1, "server_version": 1}', '"rows" of "t" is True; it must be'),
    ],
)  # fmt: skip
def test_file_that_is_none_of_sizes_is_refused_with_its_place(tmp_path: Path, text: str | None, words: str) -> None:
    path = tmp_path / "sizes.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError) as refused:
        sizes.read(path)
    assert words in str(refused.value)
    assert str(path) in str(refused.value)


def test_rules_about_time_are_rules() -> None:
    assert {rule for rule in live.TIMED if not rule.startswith("squawk:")} <= set(rulebook())
