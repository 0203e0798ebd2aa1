import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgyoyo.sql import classify, psql_scanner
from pgyoyo.sql.lexer import has_statement, leading_comments_end
from pgyoyo.sql.parser import defects, parse
from pgyoyo.sql.script import Script, Target, plain

BOM = b"\xef\xbb\xbf"
ATOMIC = (
    "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql BEGIN ATOMIC\n"
    "  SELECT CASE WHEN a > 0 THEN 1 ELSE 2 END; SELECT 3;\nEND"
)


def script(text: str) -> Script:
    return parse(text.encode())


def texts(text: str) -> list[str]:
    parsed = script(text)
    return [parsed.text(statement).decode() for statement in parsed.statements]


def kinds(text: str) -> list[str]:
    return [statement.kind for statement in script(text).statements]


def messages(text: str, *, transactional: bool = True) -> list[str]:
    return [f"{line}: {what}" for line, what in defects(script(text), transactional=transactional)]


# Splitting

ODD = [
    "SELECT 1",
    "SELECT /* a; /* b; */ c; ' */ 2",
    "SELECT 1 -- it's; here\n + 2",
    "SELECT $$ a; b $$",
    "SELECT $a$ ; $$ ; $b$ ; $a$",
    "SELECT a$b$ FROM t",
    r"SELECT E'it\'s; here'",
    r"SELECT e'\\'",
    "SELECT E'a'\n '\\'; '",
    r"SELECT U&'\0041; '",
    'SELECT U&"a;b"',
    r"SELECT 'C:\'",
    "SELECT 'it''s; here'",
    'SELECT "a;""b" FROM t',
    "SELECT '[1,2]'::jsonb @> '1', box '(0,0)' @-@ path '(1,1)', 5 # 3",
    "SELECT begin, declare FROM t",
    "CREATE TABLE t (begin int, declare text)",
    "CREATE VIEW begin AS SELECT 1",
    "CREATE RULE r AS ON INSERT TO t DO ALSO (DELETE FROM a; DELETE FROM b)",
    ATOMIC,
    ATOMIC.replace("CREATE", "CREATE /* ; */ OR REPLACE").replace("FUNCTION", "PROCEDURE").replace("RETURNS int ", ""),
    "DO $do$ BEGIN PERFORM 1; COMMIT; END $do$",
    "SELECT 'ünï; cödé', 1 AS \"ä;\"",
    "SELECT '\\.\n', 'copy t from stdin;'",
    "SELECT 1 - 2 / 3 -- 4\n",
    "SELECT :a, %s".replace(":a", "1").replace("%s", "10 % 3"),
    "INSERT INTO t VALUES ('x\r\ny')",
]
BETWEEN = [" ", "\n", "\r\n", " -- note; 'this\n", "/* ; */", "/* /* ' */ ; */", ";", "\t;\n"]


@pytest.mark.parametrize("odd", ODD)
def test_statement_is_one_whatever_it_holds(odd: str) -> None:
    assert texts(f"SELECT 0; {odd};SELECT 9") == ["SELECT 0", odd.rstrip(), "SELECT 9"]


@pytest.mark.parametrize("text", ["", " \n", ";;", "-- note", "/* a /* b */ ; */", "\ufeff", "\ufeff-- x\r\n;"])
def test_file_without_statements_has_none(text: str) -> None:
    parsed = script(text)
    assert parsed.statements == ()
    assert parsed.parsed
    assert not has_statement(text.encode())


@pytest.mark.parametrize("text", ["SELECT 1", "\ufeff;;x", "/* open", "/* a */ - 1", "'", "\\restrict x", ";\\"])
def test_file_with_a_token_has_a_statement(text: str) -> None:
    assert has_statement(text.encode())


def test_leading_comments_end_at_the_first_token() -> None:
    data = "\ufeff-- ä\r\n/* /* */ ; */\n\tSELECT 1".encode()
    assert leading_comments_end(data) == data.index(b"SELECT")
    assert leading_comments_end(b"-- only") == len(b"-- only")


def test_last_statement_needs_no_semicolon() -> None:
    assert texts("SELECT 1;\nSELECT 2 \r\n\t") == ["SELECT 1", "SELECT 2"]


def test_offsets_leave_out_comments_before_and_count_the_bom() -> None:
    parsed = script("\ufeff-- ä\nSELECT 'ö' ;\r\n/* b */ SELECT 2;")
    assert [parsed.data[one.start : one.end].decode() for one in parsed.statements] == ["SELECT 'ö'", "SELECT 2"]
    assert parsed.sql == parsed.data[3:]


@given(st.lists(st.tuples(st.sampled_from(ODD), st.sampled_from(BETWEEN)), max_size=4))
@settings(max_examples=200, deadline=None)
def test_in_a_plain_file_the_parser_finds_nothing_that_matters(parts: list[tuple[str, str]]) -> None:
    data = ";".join(between + odd for odd, between in parts).encode()
    if (quick := plain(data)) is None:
        return
    parsed = parse(data)
    assert (quick.sql, quick.pieces) == (parsed.sql, parsed.pieces)
    assert (parsed.wrapper, parsed.modes, parsed.copies) == (None, (), ())
    assert defects(parsed, transactional=True) == defects(parsed, transactional=False) == []


@pytest.mark.parametrize(
    "text",
    ["CREATE TABLE a (n int);\nCOMMENT ON TABLE a IS 'x';", "INSERT INTO a VALUES ('vendor, ended, copying');", "-- only",
     "UPDATE a SET commits = 1"],
)  # fmt: skip
def test_common_files_are_plain(text: str) -> None:
    quick = plain(text.encode())
    assert quick is not None
    assert quick.sql == text.encode()


@pytest.mark.parametrize(
    "text",
    ["COMMIT", "/* */commit;", "SELECT 1;END", "Begin;", "SET TRANSACTION READ ONLY", "COPY a FROM stdin", "VACUUM",
     "CREATE INDEX CONCURRENTLY a ON b (c)", "ALTER SYSTEM SET x = 1", "\ufeffROLLBACK", "SELECT 1 \\g", "START TRANSACTION"],
)  # fmt: skip
def test_file_with_a_word_that_may_matter_is_not_plain(text: str) -> None:
    assert plain(text.encode()) is None
    assert plain(text.encode() + b";" + b" SELECT 1;" * 10_000) is None


@given(st.lists(st.tuples(st.sampled_from(ODD), st.lists(st.sampled_from(BETWEEN), max_size=3)), max_size=6))
@settings(max_examples=100, deadline=None)
def test_known_statements_are_split_exactly_by_parser_and_scanner(parts: list[tuple[str, list[str]]]) -> None:
    text = "".join("".join(between) + odd + ";" for odd, between in parts)
    parsed = script(text)
    assert [parsed.text(one).decode() for one in parsed.statements] == [odd.rstrip() for odd, _ in parts]
    assert [start for start, _ in psql_scanner.read(text.encode(), 0).statements] == [
        one.start for one in parsed.statements
    ]


FRAGMENTS = [
    "'", "\"", "$$", "$a$", "/*", "*/", "--", "\n", "\r\n", ";", "(", ")", " ", "\\", "\\.", "\\.\n",
    "\\restrict x\n", "\\copy t from stdin\n", "E'", "x", "é", "\ufeff", "begin", "begin;", "commit;", "end", "case",
    "rollback", "savepoint s;", "select 1;", "1", "copy t from stdin", "copy t from stdin;", "copy t to stdout;",
    "create function f() ", "begin atomic ", "create index concurrently i on t(a);", "reindex ", "vacuum;",
    "alter table t detach partition p concurrently;", ",", ".", "-", "/", "*",
]  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.text(st.characters(exclude_characters="\0", codec="utf-8")))))
@settings(max_examples=250, deadline=None)
def test_any_text_gives_a_script_whose_pieces_are_the_file(fragments: list[str]) -> None:
    data = "".join(fragments).encode()
    parsed = parse(data)
    for transactional in (True, False):
        assert all(1 <= line <= data.count(b"\n") + 1 for line, _ in defects(parsed, transactional=transactional))
    ends = [sent for sent, _ in parsed.pieces[1:]] + [len(parsed.sql)]
    last = len(BOM) if data.startswith(BOM) else 0
    for (sent, filed), end in zip(parsed.pieces, ends, strict=True):
        assert last <= filed
        last = filed + end - sent
        assert all(ours in (32, theirs) for ours, theirs in zip(parsed.sql[sent:end], data[filed:last], strict=True))
    assert last <= len(data)
    spans = [span for one in parsed.statements for span in [(one.start, one.end), *([one.data] if one.data else [])]]
    assert all(start <= end <= len(data) for start, end in spans)
    starts = [one.start for one in parsed.statements]
    assert starts == sorted(set(starts))
    assert all(len(one.name) <= 60 and one.name for one in parsed.statements)
    for position in range(len(parsed.sql.decode()) + 2):
        assert 0 <= parsed.offset(position) <= len(data)
    assert has_statement(data) or not parsed.statements


# What the parser can't read

NEWER = "ALTER TABLE t FROBNICATE (a; b); "


def test_newer_syntax_is_left_to_the_server() -> None:
    parsed = script("SELECT 1; " + NEWER + ATOMIC + "; SELECT 'ö'")
    assert not parsed.parsed
    assert [one.name for one in parsed.statements] == ["SELECT", "ALTER TABLE t", "CREATE FUNCTION f", "SELECT"]
    assert defects(parsed, transactional=True) == []


def test_transaction_control_is_found_beside_what_the_parser_cannot_read() -> None:
    assert messages(NEWER + "\nCOMMIT;")[0].startswith("2: COMMIT inside the file")
    assert messages(NEWER + "\ncreate index concurrently i on t (a);")[0].startswith(
        "2: CREATE INDEX CONCURRENTLY i can't"
    )
    assert script(f"BEGIN; {NEWER} COMMIT;").wrapper


def test_string_that_goes_on_after_a_comment_is_left_to_the_server() -> None:
    # libpg_query can't read it, PostgreSQL can.
    parsed = script("SELECT E'x' -- c\n'\\'; --' ; SELECT 4; COMMIT")
    assert [one.kind for one in parsed.statements] == ["other", "other", "commit"]


@pytest.mark.parametrize(
    "text", ["SELECT 'open", 'SELECT "open', "SELECT $a$ open $$", "SELECT /* open", r"SELECT E'\'", "SELECT ("]
)
def test_text_without_an_end_is_left_to_the_server(text: str) -> None:
    parsed = script(f"SELECT 1;\n{text}; COMMIT")
    assert not parsed.parsed
    assert [one.name for one in parsed.statements] == ["SELECT", "SELECT"]
    assert defects(parsed, transactional=True) == []


# psql


def test_restrict_lines_are_dropped_and_offsets_kept() -> None:
    parsed = script("\\restrict abC1\r\nSELECT 1;\n\\unrestrict abC1\n")
    assert parsed.sql == b" " * 15 + b"\nSELECT 1;\n" + b" " * 16 + b"\n"
    assert defects(parsed, transactional=True) == []
    assert parsed.parsed


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("\\set x 'it''s\nSELECT 1;", 1, "\\set"),
        ("SELECT 1;\n  \\i other.sql\n", 2, "\\i"),
        ("SELECT 1 \\gset\n", 1, "\\gset"),
        ("SELECT 1 \\; SELECT 2;", 1, "\\;"),
        ("\\restrict\nSELECT 1;", 1, "\\restrict"),
        ("\\c db", 1, "\\c"),
        ("\\! rm", 1, "\\!"),
        ("SELECT 1;\n\\", 2, "\\"),
        ("\\copy t from stdin\n\\x\nit's\n\\.\nSELECT 1;", 1, "\\copy"),
    ],
)
def test_psql_command_is_refused(text: str, line: int, word: str) -> None:
    assert messages(text) == [f"{line}: {word} is a psql command; pgyoyo sends plain SQL: remove it or write it as SQL"]


def test_every_psql_command_is_named_and_the_rest_still_read() -> None:
    found = messages("\\set a 1\nSELECT 1;\n\\echo 'x\nCOMMIT;\n\\.\n")
    assert [message.split(" ")[:2] for message in found] == [
        ["1:", "\\set"],
        ["3:", "\\echo"],
        ["4:", "COMMIT"],
        ["5:", "\\."],
    ]


@pytest.mark.parametrize("text", ["'\n\\set x'", "$$\n\\set\n$$", "1 /*\n\\set */", "1 --\n--\\set", '"\n\\set"'])
def test_backslash_inside_a_quote_or_comment_is_no_command(text: str) -> None:
    assert messages(f"SELECT {text}, 2;") == []


# COPY


def copied(text: str) -> list[str]:
    parsed = script(text)
    assert parsed.parsed
    assert defects(parsed, transactional=True) == []
    return [parsed.data[start:end].decode() for start, end in parsed.copies]


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("COPY t FROM stdin;\n1\tä\n2\t\\N\n\\.\n", ["1\tä\n2\t\\N\n"]),
        ("COPY t FROM stdin;\r\n1\r\n\\.\r\n", ["1\r\n"]),
        ("COPY t FROM stdin;\n\\.\n", [""]),
        ("COPY t FROM stdin;\n1\n2", ["1\n2"]),
        ("COPY t FROM stdin;", [""]),
        ("COPY t FROM stdin", [""]),
        ("COPY t FROM stdin;\n'; COMMIT; /* $$\n\\. \nx\\.\n\\.\n", ["'; COMMIT; /* $$\n\\. \nx\\.\n"]),
        ("copy only_t from\nSTDIN -- x; y\nwith (format csv, header, delimiter ';');\na;b\n\\.\n", ["a;b\n"]),
        ('COPY s."T""(x" (a, "b)") FROM STDIN WITH DELIMITER \'|\' NULL \'\' CSV HEADER;\n1\n\\.\n', ["1\n"]),
        ("COPY t FROM stdout;\n1\n\\.\n", ["1\n"]),
        ("COPY t/**/FROM/* ; */stdin; -- note\n1\n\\.\n", ["1\n"]),
        ("COPY a FROM stdin; COPY b FROM stdin;\n1\n\\.\n2\n\\.\n", ["1\n", "2\n"]),
        ("COPY a FROM stdin;\n1\n\\.\n\n-- b\nCOPY b FROM stdin;\n2\n\\.\n", ["1\n", "2\n"]),
        ("COPY a FROM stdin;\n\\.\nCOPY b FROM stdin;\n\\.\n", ["", ""]),
        ("COPY t TO '/tmp/x';\nCOPY t FROM PROGRAM 'stdin';\nCOPY t FROM 'stdin'", []),
    ],
)
def test_copy_data_is_what_psql_would_send(text: str, data: list[str]) -> None:
    # Each was loaded with psql 16 and 18 into a table and compared with what was sent from here.
    assert copied(text) == data


@pytest.mark.parametrize(
    "text",
    ["SELECT 'copy t from stdin;\n\\.\n'", "SELECT $$\ncopy t from stdin;\n$$", "SELECT 1 /* copy t from stdin;\n*/",
     "SELECT 1; -- copy t from stdin;\n", 'SELECT "copy t from stdin;\n" FROM t'],
)  # fmt: skip
def test_copy_inside_a_quote_or_comment_has_no_data(text: str) -> None:
    assert copied(text + ";\nSELECT 2;") == []
    assert script(text + ";\nSELECT 2;").sql == (text + ";\nSELECT 2;").encode()


def test_copy_data_are_cut_out_of_what_is_sent() -> None:
    parsed = script("COPY a FROM stdin; SELECT (1\nx\n\\.\n + 2);\nSELECT 3;")
    assert parsed.sql == b"COPY a FROM stdin; SELECT (1\n + 2);\nSELECT 3;"
    assert [parsed.text(one) for one in parsed.statements] == [b"COPY a FROM stdin", b"SELECT (1\n + 2)", b"SELECT 3"]
    assert [one.kind for one in parsed.statements] == ["copy-in", "other", "other"]


def test_quote_that_is_open_across_copy_data_is_refused() -> None:
    text = "COPY a FROM stdin; SELECT '\nx\n\\.\nrest';"
    assert messages(text) == ["1: this is still open where the data of COPY begins; close it before"]


def test_last_copy_mark_without_a_line_break_is_refused() -> None:
    # psql sends it as data: an error as text, a row as CSV.
    text = "COPY a FROM stdin;\n1\n\\."
    assert messages(text) == ["3: psql takes a last \\. without a line break for data; add a line break after it"]


@pytest.mark.parametrize("text", ["COPY t TO stdout", "COPY (SELECT 1) TO STDOUT WITH CSV", "copy t to stdin"])
def test_copy_to_the_client_is_refused(text: str) -> None:
    assert kinds(text) == ["copy-out"]
    assert "sends rows to a client" in messages(text)[0]


def test_long_copy_data_are_never_held_twice() -> None:
    import tracemalloc

    data = b"COPY t FROM stdin;\n" + b"0123456789\n" * 1_000_000 + b"\\.\nSELECT 1;\n"
    parse(b"SELECT 1")
    tracemalloc.start()
    parsed = parse(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
    assert parsed.copies == ((19, 19 + 11_000_000),)


# Transaction control


@pytest.mark.parametrize(
    ("text", "begin"),
    [
        ("BEGIN;\nSELECT 1;\nCOMMIT;", "BEGIN"),
        ("-- note\nbegin work ; SELECT 1; end -- done", "begin work"),
        ("/* a */ START TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT 1; COMMIT AND NO CHAIN; /* b */ -- c",
         "START TRANSACTION ISOLATION LEVEL SERIALIZABLE"),
        ("\ufeffBEGIN /* x */ READ WRITE; COMMIT TRANSACTION", "BEGIN /* x */ READ WRITE"),
        ("BEGIN; SAVEPOINT a; ROLLBACK WORK TO SAVEPOINT a; RELEASE a; COMMIT", "BEGIN"),
    ],
)  # fmt: skip
def test_file_wrapped_whole_gives_its_pair_to_us(text: str, begin: str) -> None:
    parsed = script(text)
    assert defects(parsed, transactional=True) == []
    assert parsed.begin == begin.encode()
    assert len(parsed.sql) == len(text.encode().removeprefix(BOM))
    assert not any(one.kind in ("begin", "commit") for one in parsed.statements)
    again = [one.kind for one in parse(parsed.sql).statements]
    assert again == [one.kind for one in parsed.statements]


@pytest.mark.parametrize(
    ("text", "kept", "opening"),
    [
        ("SET a.b = 1; BEGIN; SELECT 1; COMMIT; ANALYZE;", ["SET a.b", "SELECT", "ANALYZE"], [b"BEGIN"]),
        ("SELECT 0; BEGIN READ WRITE; END", ["SELECT"], [b"BEGIN READ WRITE"]),
        ("BEGIN; COMMIT; GRANT SELECT ON t TO r", ["GRANT SELECT ON t"], [b"BEGIN"]),
        ("SET a.b = 1; BEGIN; SET TRANSACTION READ WRITE; SELECT 1; COMMIT; DO $$ BEGIN END $$",
         ["SET a.b", "SELECT", "DO"], [b"BEGIN", b"SET TRANSACTION READ WRITE\n"]),
        ("SET default_tablespace = ''; SET LOCAL_x.y = 1; BEGIN; COMMIT", ["SET default_tablespace", "SET LOCAL_x.y"],
         [b"BEGIN"]),
    ],
)  # fmt: skip
def test_what_stands_outside_the_pair_runs_in_our_transaction(text: str, kept: list[str], opening: list[bytes]) -> None:
    parsed = script(text)
    assert defects(parsed, transactional=True) == []
    assert [statement.name for statement in parsed.statements] == kept
    assert list(parsed.opening) == opening
    assert len(parsed.sql) == len(text)
    assert [statement.name for statement in parse(parsed.sql).statements] == kept


@pytest.mark.parametrize(
    "outside",
    [
        "VACUUM", "CREATE INDEX CONCURRENTLY i ON t (c)", "ALTER SYSTEM RESET ALL", "COPY t TO stdout", "SAVEPOINT s",
        "SET LOCAL a.b = 1", "SET CONSTRAINTS ALL DEFERRED", "SET TRANSACTION READ ONLY", "BEGIN; COMMIT", "ROLLBACK",
        "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET default_transaction_isolation = 'serializable'",
        "SET SESSION default_transaction_read_only = on", "PREPARE TRANSACTION 'x'", "ROLLBACK AND CHAIN",
    ],
)  # fmt: skip
@pytest.mark.parametrize("text", ["{}; BEGIN; SELECT 1; COMMIT;", "BEGIN; SELECT 1; COMMIT; {};"])
def test_what_a_transaction_would_refuse_or_change_stays_outside_the_pair(text: str, outside: str) -> None:
    found = messages(text.format(outside))
    assert [message for message in found if message.startswith("1: BEGIN inside the file")]


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("BEGIN; ALTER TYPE t ADD VALUE 'x'; COMMIT; UPDATE a SET t = 'x';", True),
        ("begin; alter type s.\"T\"\n  add value if not exists 'x' BEFORE 'y'; end; SELECT 1", True),
        ("SET a.b = 1; BEGIN; ALTER TYPE t ADD VALUE 'x'; COMMIT;", False),
        ("ALTER TYPE t ADD VALUE 'x'; BEGIN; SELECT 1; COMMIT; ANALYZE;", False),
        ("BEGIN; ALTER TYPE t RENAME TO u; ALTER TABLE a ADD value int; COMMIT; ANALYZE;", False),
    ],
)
def test_value_of_an_enum_is_committed_before_what_follows_the_pair(text: str, *, refused: bool) -> None:
    assert any(message.startswith("1: BEGIN inside the file") for message in messages(text)) is refused


def test_semicolon_can_follow_a_begin_that_ends_in_a_comment() -> None:
    begin = script("BEGIN -- note\n; SELECT 1; COMMIT").begin
    assert [one.kind for one in parse(begin + b"; SELECT 2").statements] == ["begin", "other"]


def test_plain_file_begins_plainly() -> None:
    assert script("SELECT 1").begin == b"BEGIN"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("SELECT 1;\nCOMMIT;", [2]),
        ("BEGIN;\nSELECT 1;\nROLLBACK;", [1, 3]),
        ("BEGIN;\nSELECT 1;\nCOMMIT AND CHAIN;", [1, 3]),
        ("BEGIN;\nSELECT 1;\nCOMMIT;\nBEGIN;\nSELECT 2;\nEND;", [3, 4]),
        ("START TRANSACTION;", [1]),
        ("ABORT;\nEND;\nPREPARE TRANSACTION 'a';\nCOMMIT PREPARED 'a';\nROLLBACK PREPARED 'a';", [1, 2, 3, 4, 5]),
        ("/* x */ commit /* y */ work; -- z", [1]),
    ],
)
def test_other_transaction_control_is_refused(text: str, lines: list[int]) -> None:
    assert [int(message.split(":")[0]) for message in messages(text)] == lines


@pytest.mark.parametrize(
    "text",
    ["SAVEPOINT a", "RELEASE SAVEPOINT a", "ROLLBACK TO a", "ROLLBACK TRANSACTION TO SAVEPOINT a", "PREPARE p AS SELECT 1",
     "SELECT 'COMMIT;'", "DO $$ BEGIN COMMIT; END $$", "CREATE TABLE commit (rollback int)", "SET TRANSACTION READ ONLY"],
)  # fmt: skip
def test_what_only_looks_like_transaction_control_is_allowed(text: str) -> None:
    assert messages(text) == []


@pytest.mark.parametrize("text", ["BEGIN; SELECT 1; BEGIN", "BEGIN; SELECT 1; ROLLBACK", "SAVEPOINT a; RELEASE a"])
def test_any_transaction_control_is_refused_where_each_statement_commits(text: str) -> None:
    found = messages(text, transactional=False)
    assert len(found) == 2
    assert 'in a file with "transactional: false", where each statement is committed by itself' in found[0]


# Outside a transaction: the answers are those of PostgreSQL 16 and 18

REFUSED = r"""
CREATE INDEX CONCURRENTLY i ON t (a)
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)
create /* x */ index -- y; z\r\n concurrently on t (a)
DROP INDEX CONCURRENTLY i
DROP INDEX CONCURRENTLY IF EXISTS i
REINDEX INDEX CONCURRENTLY i
REINDEX (VERBOSE, CONCURRENTLY) TABLE t
REINDEX SCHEMA s
REINDEX (VERBOSE) DATABASE d
REINDEX SYSTEM d
VACUUM
VACUUM (ANALYZE) t
CREATE DATABASE d
DROP DATABASE IF EXISTS d
CREATE TABLESPACE s LOCATION '/tmp'
DROP TABLESPACE s
ALTER DATABASE d SET TABLESPACE s
ALTER DATABASE "my db" TABLESPACE s
ALTER SYSTEM SET work_mem = '4MB'
ALTER SYSTEM RESET ALL
CLUSTER
CLUSTER VERBOSE
DISCARD ALL
CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p
CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (connect = true, create_slot)
ALTER SUBSCRIPTION s REFRESH PUBLICATION
ALTER SUBSCRIPTION s SET PUBLICATION p
ALTER SUBSCRIPTION s ADD PUBLICATION p
ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY
""".strip().split("\n")
ALLOWED = """
CREATE INDEX i ON t (a)
CREATE INDEX "CONCURRENTLY" ON t (a)
DROP INDEX i
REINDEX TABLE t
REINDEX (CONCURRENTLY false) TABLE t
REINDEX (CONCURRENTLY 0) TABLE t
ANALYZE t
ALTER DATABASE d SET work_mem = '4MB'
ALTER DATABASE d REFRESH COLLATION VERSION
ALTER TABLESPACE pg_default SET (seq_page_cost = 1)
CLUSTER t USING i
DISCARD PLANS
CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (connect = false)
CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (create_slot = off)
DROP SUBSCRIPTION s
ALTER SUBSCRIPTION s SET PUBLICATION p WITH (refresh = false)
ALTER SUBSCRIPTION s ADD PUBLICATION p WITH (refresh = off)
ALTER SUBSCRIPTION s DISABLE
ALTER TABLE p DETACH PARTITION p1
ALTER TABLE p DETACH PARTITION p1 FINALIZE
ALTER TABLE p ADD "concurrently" int
REFRESH MATERIALIZED VIEW CONCURRENTLY v
ALTER TYPE e ADD VALUE 'z'
CHECKPOINT
""".strip().split("\n")


@pytest.mark.parametrize("text", REFUSED)
def test_statement_that_refuses_a_transaction_is_refused_with_the_line_to_add(text: str) -> None:
    text = text.replace("\\r\\n", "\r\n")
    assert script(text).statements[0].needs_autocommit
    assert messages(text)[0].endswith(
        "can't run in a transaction; add the line \"-- transactional: false\" to the file's header"
    )
    assert messages(text, transactional=False) == []


@pytest.mark.parametrize("text", ALLOWED)
def test_statement_that_accepts_a_transaction_is_accepted(text: str) -> None:
    assert script(text).parsed
    assert messages(text) == []


@pytest.mark.parametrize(
    ("text", "kind", "target"),
    [
        ('CREATE INDEX CONCURRENTLY "I x" ON s.t (a)', "create-index-concurrently", Target("s", "I x", "t")),
        ("CREATE INDEX CONCURRENTLY ON ONLY T (a)", "create-index-concurrently", Target(None, None, "t")),
        (
            "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)",
            "create-index-concurrently",
            Target(None, "i", "t"),
        ),
        ("DROP INDEX CONCURRENTLY IF EXISTS s.i", "drop-index-concurrently", Target("s", "i", None)),
        ("REINDEX INDEX CONCURRENTLY s.i", "reindex-concurrently", Target("s", "i", None)),
        ("REINDEX (CONCURRENTLY) TABLE t", "reindex-concurrently", Target(None, None, "t")),
        ("REINDEX DATABASE CONCURRENTLY d", "other-no-transaction", None),
    ],
)
def test_concurrent_statement_names_its_target(text: str, kind: str, target: Target | None) -> None:
    one = script(text).statements[0]
    assert (one.kind, one.target) == (kind, target)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("create unique index concurrently if not exists ix_a on t (a)", "CREATE UNIQUE INDEX CONCURRENTLY ix_a"),
        ("CREATE INDEX ON t (a)", "CREATE INDEX ON t"),
        ("ALTER TABLE IF EXISTS ONLY public.users ADD x int", "ALTER TABLE public.users"),
        ("INSERT INTO t VALUES (1)", "INSERT INTO t"),
        ('insert into\n  "T x" (a) select 1', 'INSERT INTO "T x"'),
        ('UPDATE "s ""q"""."T ""q"" x" SET a = 1', 'UPDATE "s ""q"""."T ""q"" x"'),
        ("UPDATE ONLY t SET a = 1", "UPDATE t"),
        ("COMMENT ON COLUMN s.t.a IS 'x'", "COMMENT ON COLUMN s.t.a"),
        (
            "CREATE /* a */ OR REPLACE -- b\n FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE OR REPLACE FUNCTION f",
        ),
        ("SELECT pg_catalog.set_config('search_path', '', false)", "SELECT pg_catalog.set_config"),
        ("GRANT SELECT, INSERT ON t TO u", "GRANT SELECT"),
        ("COPY public.t (a) FROM stdin", "COPY public.t FROM stdin"),
        ("DO $$ BEGIN END $$", "DO"),
        ("(SELECT 1)", "SELECT"),
        ("CREATE TABLE таблица (a int)", "CREATE TABLE таблица"),
        ("COPY " + "t" * 63 + " FROM stdin", "COPY " + "t" * 44 + " FROM stdin"),
        ("\u00a0", r"'\xa0'"),
        ("DROP TABLE " + "x" * 63, "DROP TABLE " + "x" * 48 + "…"),
    ],
)
def test_statement_is_named_for_a_person(text: str, name: str) -> None:
    assert script(text).statements[0].name == name


def test_update_is_known_for_a_backfill() -> None:
    assert kinds("UPDATE t SET a = 1; DELETE FROM t") == ["update", "other"]


def test_expression_deeper_than_the_stack_is_not_walked() -> None:
    text = "CREATE INDEX CONCURRENTLY i ON t ((" + "1+" * 200_000 + "1))"
    assert kinds(text) == ["create-index-concurrently"]


# Positions


@pytest.mark.parametrize(
    "text",
    ["SELECT HERE", "\ufeffSELECT 'äöü€😀', HERE", "-- é\r\nBEGIN /* é */;\r\nSELECT HERE;\r\nCOMMIT;",
     "COPY t FROM stdin;\né\n\\.\nSELECT 'é', HERE;",
     "\\restrict x\nSELECT 1;\nCOPY a FROM stdin;\n\\.\nCOPY b FROM stdin;\n1\n\\.\nHERE"],
)  # fmt: skip
def test_server_position_leads_back_to_the_file(text: str) -> None:
    parsed = script(text)
    position = parsed.sql.decode().index("HERE") + 1
    offset = parsed.offset(position)
    assert offset == text.encode().index(b"HERE")
    assert parsed.line(offset) == text[: text.index("HERE")].count("\n") + 1


def test_position_outside_the_text_stays_in_the_file() -> None:
    assert [script("SELECT 1").offset(position) for position in (0, 1, 9, 99)] == [0, 0, 8, 8]


def test_large_files_are_never_parsed_into_a_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(text: bytes) -> None:
        raise AssertionError(text)

    monkeypatch.setattr(classify, "_kind_by_tree", refuse)
    assert len(parse(b"INSERT INTO t VALUES (1);\n" * 50_000).statements) == 50_000
