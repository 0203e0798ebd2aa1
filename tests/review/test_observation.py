"""What is seen of each statement as the server shows it: locks, from a second session too, work, names, and where it ends."""

from contextlib import ExitStack
from dataclasses import replace
from itertools import count

import pytest
from psycopg import Connection

from pgyoyo.console import Console
from pgyoyo.migrations import reader
from pgyoyo.review.rehearsal import Rehearsal
from pgyoyo.review.sheet import ObservedStatement
from pgyoyo.review.stage import RehearsalDatabases
from staging import begin, go_on

TWO = "CREATE TABLE t (id integer PRIMARY KEY, n integer, s varchar(9));\nCREATE TABLE u (id integer PRIMARY KEY);"
OUTSIDE = "-- transactional: false\n"
AX, SUX = "ACCESS EXCLUSIVE", "SHARE UPDATE EXCLUSIVE"


class Play:
    """Migrations rehearsed one after the other; `stage` is where."""

    def __init__(self, stage: RehearsalDatabases) -> None:
        self.stage = stage
        self._numbers = count(1)

    def __call__(self, sql: str) -> Rehearsal:
        return self.stage.rehearse(reader.from_texts(f"{next(self._numbers):04}_x", sql, None))

    def before(self, sql: str) -> None:
        go_on(self.stage, [reader.from_texts(f"{next(self._numbers):04}_before", sql, None)])

    def value(self, query: str) -> object:
        row = self.stage.copy.conn.execute(query.encode()).fetchone()
        return row and row[0]


@pytest.fixture
def play(stage: RehearsalDatabases) -> Play:
    """A stage with the tables of TWO."""
    begin(stage, [])
    play = Play(stage)
    play.before(TWO)
    return play


def modes(seen: ObservedStatement) -> list[tuple[str, str]]:
    """The locks that a sheet shows, and on what."""
    return [(lock.mode, lock.relation.name.removeprefix("public.")) for lock in seen.takes if lock.shown]


def names(relations) -> list[str]:
    return [relation.name.removeprefix("public.") for relation in relations]


def changes(seen: ObservedStatement) -> list[str]:
    return [f"{change.kind} {change.identity}" for change in seen.changes]


# --- Locks ---


def test_lock_lasts_from_its_statement_to_the_last_one(play: Play) -> None:
    seen = play("SELECT 1;\nALTER TABLE t ADD a int;\nALTER TABLE u ADD a int;\nSELECT 2;").statements
    [first] = [lock for lock in seen[1].taken if lock.strong]
    [second] = [lock for lock in seen[2].taken if lock.strong]
    assert (first.taken, first.until, second.taken, second.until) == (2, 4, 3, 4)
    assert [[lock.relation.name for lock in statement.held] for statement in seen] == [
        [], [], ["public.t"], ["public.t", "public.u"],
    ]  # fmt: skip


def test_stronger_lock_on_what_is_locked_is_taken_anew(play: Play) -> None:
    first, second = play("CREATE INDEX ON t (n);\nALTER TABLE t ADD a int;").statements
    assert ("SHARE", "t") in modes(first)
    assert [(lock.mode, lock.taken) for lock in second.taken if lock.relation.kind == "table"] == [
        ("ACCESS EXCLUSIVE", 2)
    ]
    assert [lock.mode for lock in second.held] == ["SHARE"]


def test_statement_that_can_not_run_by_itself_is_seen_in_its_transaction(play: Play) -> None:
    seen = play(
        "CREATE TEMP TABLE x (id int) ON COMMIT DROP;\nINSERT INTO x VALUES (1);\nINSERT INTO u SELECT id FROM x;\n"
        "ALTER TABLE t ADD a int;"
    ).statements
    assert [statement.state for statement in seen] == ["ran"] * 4
    assert [statement.alone is None for statement in seen] == [False, True, True, True]
    assert modes(seen[3]) == [("ACCESS EXCLUSIVE", "t")]
    assert changes(seen[3]) == ["column public.t.a"]
    assert modes(play("ALTER TABLE u ADD a int;").statements[0]) == [("ACCESS EXCLUSIVE", "u")]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CREATE INDEX CONCURRENTLY i ON t (n);", [(SUX, "t")]),
        ("DROP INDEX CONCURRENTLY t_n_idx;", [(SUX, "t")]),
        ("REINDEX INDEX CONCURRENTLY t_n_idx;", [(SUX, "t")]),
        ("REINDEX TABLE CONCURRENTLY t;", [(SUX, "t")]),
        ("VACUUM t;", [(SUX, "t")]),
        ("VACUUM FULL t, u;", [(AX, "t"), (AX, "u")]),
        # Not all tables: those that all databases share would be locked for the other processes of these tests.
        (
            'VACUUM FULL "App S"."T ""ü"" x", p1, t, u;',
            [(AX, name) for name in ('"App S"."T ""ü"" x"', "p1", "t", "u")],
        ),
        ('CREATE INDEX CONCURRENTLY i ON "App S"."T ""ü"" x" (id);', [(SUX, '"App S"."T ""ü"" x"')]),
        ("CREATE UNIQUE INDEX CONCURRENTLY i ON full_view (id);", [(SUX, "full_view")]),
        ("CREATE INDEX CONCURRENTLY i ON empty_view (id);", [(SUX, "empty_view")]),
        ("DROP INDEX CONCURRENTLY full_view_n_idx;", [(SUX, "full_view")]),
        ("ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY;", [(SUX, "p"), (SUX, "p1")]),
        ("CALL add_column();", [(AX, "t")]),
        ("DO $$ BEGIN CREATE INDEX ON u (id); COMMIT; END $$;", [("SHARE", "u")]),
        ("DO $$ BEGIN UPDATE t SET n = 1; END $$;", []),
        ("DROP INDEX CONCURRENTLY IF EXISTS nothing;", []),
    ],
)
def test_locks_outside_a_transaction_are_seen_while_it_runs(
    play: Play, sql: str, expected: list[tuple[str, str]]
) -> None:
    play.before("""
        CREATE INDEX t_n_idx ON t (n);
        CREATE MATERIALIZED VIEW full_view AS SELECT id, n FROM t;
        CREATE INDEX full_view_n_idx ON full_view (n);
        CREATE MATERIALIZED VIEW empty_view AS SELECT id FROM t WITH NO DATA;
        CREATE TABLE p (id int) PARTITION BY LIST (id);
        CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);
        CREATE SCHEMA "App S";
        CREATE TABLE "App S"."T ""ü"" x" (id int);
        CREATE PROCEDURE add_column() LANGUAGE plpgsql AS $$ BEGIN ALTER TABLE t ADD a int; COMMIT; END $$;
    """)
    [seen] = play(OUTSIDE + sql).statements
    assert (seen.state, seen.error) == ("ran", None)
    assert modes(seen) == expected


def test_limit_of_a_lock_is_the_one_in_force(play: Play) -> None:
    first, _, third = play("ALTER TABLE t ADD a int;\nSET LOCAL lock_timeout = 0;\nALTER TABLE t ADD b int;").statements
    assert first.lock_timeout > 0
    assert third.lock_timeout == 0
    assert play("-- lock-timeout: 3s\nALTER TABLE t ADD c int;").statements[0].lock_timeout == 3_000
    assert play(f"{OUTSIDE}ALTER TABLE t ADD d int;").statements[0].lock_timeout > 0
    assert play(f"{OUTSIDE}VACUUM FULL t;").statements[0].lock_timeout == 0


# --- Work ---


@pytest.mark.parametrize(
    ("sql", "rewritten", "built", "emptied", "scanned"),
    [
        ("ALTER TABLE t ALTER n TYPE bigint;", ["t"], [], [], ["t"]),
        ("ALTER TABLE t ALTER s TYPE text;", [], [], [], []),
        ("ALTER TABLE t ADD x uuid DEFAULT gen_random_uuid();", ["t"], [], [], ["t"]),
        ("ALTER TABLE t ADD x int DEFAULT 7;", [], [], [], []),
        ("ALTER TABLE t ADD CHECK (n > 0);", [], [], [], ["t"]),
        ("ALTER TABLE t ADD CHECK (n > 0) NOT VALID;", [], [], [], []),
        ("CREATE INDEX ON t (n);", [], ["t_n_idx"], [], ["t"]),
        ("REINDEX INDEX t_s_idx;", [], ["t_s_idx"], [], ["t"]),
        ("DROP INDEX t_s_idx;", [], [], [], []),
        ("TRUNCATE t;", [], [], ["t"], ["t"]),
        ("CLUSTER t USING t_pkey;", ["t"], [], [], []),
        ("UPDATE t SET n = 1 WHERE id = 1;", [], [], [], []),
        ("UPDATE t SET n = 1 WHERE n IS NULL;", [], [], [], ["t"]),
        ("SELECT count(*) FROM t;", [], [], [], ["t"]),
        ("CREATE TABLE x AS SELECT * FROM t;", [], [], [], ["t"]),
    ],
)
def test_rewrites_and_scans_show_on_an_empty_table(play: Play, sql, rewritten, built, emptied, scanned) -> None:
    play.before("CREATE INDEX t_s_idx ON t (s);")
    [seen] = play(sql).statements
    work = seen.work
    assert (names(work.rewritten), names(work.built), names(work.emptied)) == (rewritten, built, emptied)
    if not rewritten and not emptied:
        assert names(work.scanned) == scanned


def test_what_is_done_to_a_table_made_here_is_no_work(play: Play) -> None:
    sql = "CREATE TABLE x (a int);\nINSERT INTO x VALUES (1);\nCREATE INDEX ON x (a);\nALTER TABLE x ALTER a TYPE text;"
    for seen in play(sql).statements:
        assert (seen.work.rewritten, seen.work.built, seen.work.scanned) == ((), (), ())


def test_rows_of_triggers_cascades_and_code_are_counted(play: Play) -> None:
    play.before("""
        CREATE TABLE audit (id int);
        CREATE TABLE child (t integer REFERENCES t ON DELETE CASCADE);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO audit VALUES (NEW.id); RETURN NEW; END $$;
        CREATE TRIGGER note AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION note();
        INSERT INTO t SELECT n FROM generate_series(1, 20) AS n;
        INSERT INTO child SELECT id FROM t;
    """)
    seen = play(
        "UPDATE t SET n = 1 WHERE id <= 3;\nDELETE FROM t WHERE id > 15;\n"
        "DO $$ BEGIN UPDATE t SET n = 2 WHERE id = 1; END $$;\nCOPY u FROM stdin;\n1\n2\n\\.\n"
    ).statements
    assert [[str(rows).replace("public.", "") for rows in statement.work.rows] for statement in seen] == [
        ["3 inserted in audit", "3 updated in t"],
        ["5 deleted in child", "5 deleted in t"],
        ["1 inserted in audit", "1 updated in t"],
        ["2 inserted in u"],
    ]


def test_work_outside_a_transaction_is_counted_whenever_the_server_flushes_its_counts(play: Play) -> None:
    play.before("INSERT INTO t SELECT n FROM generate_series(1, 20) AS n;")
    play.value("SELECT pg_sleep(1.1)")  # a second after the last flush, the next statement's end flushes
    update, full = play(
        f"{OUTSIDE}DO $$ BEGIN UPDATE t SET n = 1; COMMIT; UPDATE t SET n = 2; END $$;\nVACUUM FULL t;"
    ).statements
    assert [str(rows) for rows in update.work.rows] == ["40 updated in public.t"]
    assert names(update.work.scanned) == ["t"]
    assert names(full.work.rewritten) == ["t"]


# --- Names ---


def test_quoted_and_multi_byte_names_are_the_servers(play: Play) -> None:
    play.before('CREATE SCHEMA "App S";\nCREATE TABLE "App S"."T ""ü"" x" (id int);\nCREATE TABLE "a.b" (id int);')
    first, second = play('ALTER TABLE "App S"."T ""ü"" x" ADD "Spalte ö" int;\nALTER TABLE "a.b" ADD x int;').statements
    assert modes(first) == [("ACCESS EXCLUSIVE", '"App S"."T ""ü"" x"')]
    assert changes(first) == ['column "App S"."T ""ü"" x"."Spalte ö"']
    assert modes(second) == [("ACCESS EXCLUSIVE", '"a.b"')]


def test_partition_and_child_belong_to_their_table(play: Play) -> None:
    play.before("""
        CREATE TABLE p (id int, at date) PARTITION BY RANGE (at);
        CREATE TABLE p1 PARTITION OF p FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (id);
        CREATE TABLE p2 PARTITION OF p1 DEFAULT;
        CREATE TABLE child () INHERITS (u);
    """)
    first, second = play("ALTER TABLE p ADD x int;\nALTER TABLE u ADD x int;").statements
    tables = {
        lock.relation.name: lock.relation.table
        for lock in (*first.takes, *second.takes)
        if lock.relation.kind != "index"
    }
    assert tables == {
        "public.p": None, "public.p1": "public.p", "public.p2": "public.p", "public.u": None, "public.child": "public.u",
    }  # fmt: skip


def test_settings_of_a_file_end_with_it(play: Play) -> None:
    play(
        "CREATE SCHEMA s;\nSET search_path = s;\nSET ROLE pg_database_owner;\nRESET ROLE;\nCREATE TABLE inner_t (id int);"
    )
    play("SELECT set_config('search_path', '', false);\nSET lock_timeout = 0;\nALTER TABLE public.t ADD a int;")
    [seen] = play("ALTER TABLE t ADD b int;").statements
    assert (seen.state, seen.alone is not None, seen.lock_timeout > 0) == ("ran", True, True)
    assert play.value("SELECT to_regclass('s.inner_t')::text") == "s.inner_t"


# --- Where it ends ---


def test_long_migration_leaves_no_session_that_keeps_the_copy_from_being_cloned(play: Play) -> None:
    play.before("SELECT pg_sleep(0.5);")  # long enough for a look at who is in the way, from a session of its own
    play.stage._discard_second()
    [statement] = play("ALTER TABLE t ADD a int;").statements
    assert statement.alone is not None


def test_failed_concurrent_index_is_left_invalid_and_the_rest_not_reached(play: Play) -> None:
    play.before("INSERT INTO t SELECT n, 1 FROM generate_series(1, 2) AS n;")
    rehearsal = play(
        f"{OUTSIDE}ALTER TABLE u ADD a int;\nCREATE UNIQUE INDEX CONCURRENTLY t_n_key ON t (n);\nDROP TABLE u;"
    )
    assert [(statement.state, statement.sqlstate) for statement in rehearsal.statements] == [
        ("ran", None),
        ("failed", "23505"),
        ("not reached", None),
    ]
    assert names(rehearsal.invalid()) == ["t_n_key"]
    assert play.value("SELECT count(*) FROM pg_attribute WHERE attrelid = 'u'::regclass AND attname = 'a'") == 1
    assert modes(play("ALTER TABLE u ADD b int;").statements[0]) == [("ACCESS EXCLUSIVE", "u")]


def test_failed_transaction_leaves_nothing_for_the_next_migration(play: Play) -> None:
    rehearsal = play("CREATE TABLE x (id int);\nSELECT 1 / 0;\nDROP TABLE x;")
    assert [statement.state for statement in rehearsal.statements] == ["ran", "failed", "not reached"]
    assert "division by zero" in (rehearsal.statements[1].error or "")
    [seen] = play("CREATE TABLE x (id int);").statements
    assert (seen.state, seen.alone is not None) == ("ran", True)


def test_enum_value_used_at_once_is_refused_in_code_too(play: Play) -> None:
    play.before("CREATE TYPE mood AS ENUM ('a');\nALTER TABLE t ADD m mood;")
    for use in ("INSERT INTO t (id, m) VALUES (1, 'b');", "DO $$ BEGIN INSERT INTO t (id, m) VALUES (1, 'b'); END $$;"):
        assert play(f"ALTER TYPE mood ADD VALUE 'b';\n{use}").statements[1].sqlstate == "55P04"
    outside = play(f"{OUTSIDE}ALTER TYPE mood ADD VALUE 'b';\nINSERT INTO t (id, m) VALUES (1, 'b');")
    assert [statement.state for statement in outside.statements] == ["ran", "ran"]


def test_changes_stand_at_the_statement_that_made_them(play: Play) -> None:
    play.before("CREATE TABLE p (id int) PARTITION BY LIST (id);\nCREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);")
    play(f"{OUTSIDE}ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY;\nCREATE INDEX CONCURRENTLY t_n_idx ON t (n);")
    first, second = play(f"{OUTSIDE}ALTER TABLE t ADD a int;\nCREATE INDEX CONCURRENTLY t_a_idx ON t (a);").statements
    assert changes(first) == ["column public.t.a"]
    assert changes(second) == ["index public.t_a_idx"]


def test_two_runs_outside_a_transaction_see_the_same(admin: Connection) -> None:
    sql = OUTSIDE + (
        "CREATE INDEX CONCURRENTLY t_n_idx ON t (n);\nREINDEX TABLE CONCURRENTLY t;\nVACUUM FULL t, u;\nVACUUM FULL u;\n"
        "DO $$ BEGIN UPDATE t SET n = 1; COMMIT; ALTER TABLE u ADD a int; END $$;\nDROP INDEX CONCURRENTLY t_n_idx;"
    )

    def run() -> list[ObservedStatement]:
        with ExitStack() as stack:
            play = Play(RehearsalDatabases(admin, Console(quiet=True), stack))
            play.before(TWO)
            sheet = play(sql)
            # Before 15 the scans of what runs outside a transaction are counted whenever the server comes to it.
            same = {"scanned": ()} if admin.info.server_version < 150000 else {}
            return [
                replace(statement, work=replace(statement.work, duration=None, wal=None, **same))
                for statement in sheet.statements
            ]

    for first, second in zip(run(), run(), strict=True):
        assert first == second
