"""What a role may not do any more, rows hidden from it, writes that a rule drops: each beside what the server does."""

import os
import uuid
from collections.abc import Iterator, Mapping

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgyoyo.scratch import databases
from pgyoyo.workload.judgement import Look, look, verdicts
from pgyoyo.workload.reach import sent

SETUP = """
CREATE ROLE {role}; GRANT USAGE ON SCHEMA public TO {role};
CREATE TABLE t (id int, a text, b text); INSERT INTO t SELECT n, 'x', 'y' FROM generate_series(1, 4) AS n;
CREATE TABLE p (id int); INSERT INTO p VALUES (1), (2); ALTER TABLE p ENABLE ROW LEVEL SECURITY;
CREATE POLICY low ON p USING (id < 5); CREATE POLICY own ON p FOR SELECT TO {role} USING (id < 9);
CREATE VIEW v AS SELECT id FROM t; CREATE SCHEMA s; CREATE TABLE s.t (id int); INSERT INTO s.t VALUES (1);
CREATE TABLE r (id int, a text DEFAULT 'x');
GRANT ALL ON t, p, v, r TO {role}; GRANT USAGE ON SCHEMA s TO {role}; GRANT SELECT ON s.t TO PUBLIC;
"""
READ, WRITE = "SELECT count(*) FROM t", "INSERT INTO t (id) VALUES (9)"
# A change, a statement, and the words about it, "" where it does as before.
CASES = (
    ("REVOKE SELECT ON t FROM {role}", READ, "{role} has no SELECT on t any more"),
    ("REVOKE SELECT ON t FROM {role}", WRITE, ""),
    ("REVOKE SELECT ON t FROM {role}", "INSERT INTO t (id) VALUES (9) RETURNING id", "{role} has no SELECT on t"),
    ("REVOKE SELECT ON t FROM {role}", "UPDATE t SET a = 'z' WHERE id = 1", "{role} has no SELECT on t any more"),
    ("REVOKE SELECT ON t FROM {role}", "SELECT count(*) FROM v", ""),
    ("REVOKE SELECT ON t FROM {role}", "WITH t AS (SELECT 1) SELECT count(*) FROM t", ""),
    ("REVOKE SELECT ON t FROM {role}", "SELECT count(*) FROM s.t", ""),
    ("REVOKE ALL ON t FROM {role}", WRITE, "{role} has no INSERT on t any more"),
    ("REVOKE ALL ON t FROM {role}", "DELETE FROM t", "{role} has no DELETE on t any more"),
    ("REVOKE ALL ON t FROM {role}; GRANT SELECT ON t TO PUBLIC", READ, ""),
    ("REVOKE SELECT ON t FROM {role}; GRANT SELECT (id, a) ON t TO {role}", "SELECT id FROM t", ""),
    ("REVOKE SELECT ON t FROM {role}; GRANT SELECT (id, a) ON t TO {role}", "SELECT * FROM t",
     "{role} has no SELECT on t any more"),
    ("REVOKE SELECT ON s.t FROM PUBLIC", "SELECT count(*) FROM s.t", "PUBLIC has no SELECT on s.t any more"),
    ("REVOKE USAGE ON SCHEMA s FROM {role}", "SELECT count(*) FROM s.t",
     "{role} has no USAGE on the schema of s.t any more"),
    ("REVOKE USAGE ON SCHEMA public FROM PUBLIC", READ, ""),
    ("DROP VIEW v; CREATE VIEW v AS SELECT id FROM t", "SELECT count(*) FROM v", "{role} has no SELECT on v any more"),
    ("CREATE OR REPLACE VIEW v AS SELECT id FROM t WHERE true", "SELECT count(*) FROM v", ""),
    ("GRANT ALL ON t TO {role}", READ, ""),
    ("ALTER TABLE t ENABLE ROW LEVEL SECURITY", READ, "row-level security of t is on now"),
    ("ALTER TABLE t ENABLE ROW LEVEL SECURITY", WRITE, "(none)"),
    ("ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON t FOR SELECT USING (id = 1)", READ, "(mine)"),
    ("ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY every ON t USING (true)", READ, ""),
    ("ALTER TABLE t ENABLE ROW LEVEL SECURITY; CREATE POLICY every ON t USING (true)", WRITE, ""),
    ("CREATE POLICY few ON p AS RESTRICTIVE USING (id = 1)", "SELECT count(*) FROM p", "policy few of p restricts"),
    ("CREATE POLICY more ON p USING (id < 7)", "SELECT count(*) FROM p", ""),
    ("DROP POLICY low ON p", "INSERT INTO p VALUES (3)", "policy low of p is gone or another"),
    ("DROP POLICY own ON p; DROP POLICY low ON p; CREATE POLICY low ON p USING (id < 2)", "SELECT count(*) FROM p",
     "policy low, own of p is gone or another"),
    ("ALTER TABLE p DISABLE ROW LEVEL SECURITY; DROP POLICY low ON p", "SELECT count(*) FROM p", ""),
    ("CREATE RULE quiet AS ON INSERT TO r DO INSTEAD NOTHING", "INSERT INTO r (id) VALUES (9)",
     "rule quiet of r does nothing in its place"),
    ("CREATE RULE quiet AS ON INSERT TO r WHERE new.id > 5 DO INSTEAD NOTHING", "INSERT INTO r (id) VALUES (9)",
     "rule quiet of r may do nothing in its place"),
    ("CREATE RULE quiet AS ON DELETE TO r DO INSTEAD NOTHING", "INSERT INTO r (id) VALUES (9)", ""),
)  # fmt: skip


CHANGES = tuple(dict.fromkeys(change for change, _, _ in CASES))
STATEMENTS = tuple(dict.fromkeys(text for _, text, _ in CASES))
Prepared = tuple[psycopg.Connection, str, Look, Mapping[str, str]]


@pytest.fixture(scope="module")
def prepared(maker: psycopg.Connection, server_conninfo: str) -> Iterator[Prepared]:
    """A database, a role that may do all in it, and what becomes of the statements before any change."""
    name, role = f"test_{uuid.uuid4().hex[:12]}", f"app_{os.getpid()}"
    databases.create(maker, name)
    with psycopg.connect(make_conninfo(server_conninfo, dbname=name), autocommit=True, prepare_threshold=None) as conn:
        conn.execute(SETUP.format(role=role).encode())
        shown = {text: effect(conn, role, text) for text in STATEMENTS}
        yield conn, role, look(conn, STATEMENTS, list(map(sent, STATEMENTS))), shown
        conn.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())
    databases.drop(maker, name)


def effect(conn: psycopg.Connection, role: str, text: str) -> str:
    """What becomes of a statement as that role: the SQLSTATE, or its rows, or how many it writes; it is undone."""
    try:
        with conn.transaction(force_rollback=True):
            conn.execute(f"SET LOCAL ROLE {role}".encode())
            done = conn.execute(text.encode())
            return str(done.fetchall() if done.description else done.rowcount)
    except psycopg.Error as error:
        return error.sqlstate or ""


@pytest.mark.parametrize("change", CHANGES)
def test_words_stand_where_the_server_does_something_else(prepared: Prepared, change: str) -> None:
    conn, role, before, shown = prepared
    statements = list(map(sent, STATEMENTS))
    cases = [(text, words.format(role=role)) for each, text, words in CASES if each == change]
    with conn.transaction(force_rollback=True):
        conn.execute(change.format(role=role).encode())
        then = {text: effect(conn, role, text) for text, _ in cases}
        judged = dict(
            zip(STATEMENTS, verdicts(conn, before, look(conn, STATEMENTS, statements), statements), strict=True)
        )
    for text, words in cases:
        verdict = judged[text]
        told = "; ".join((*verdict.rights, *(refusal.words for refusal in verdict.refused)))
        assert words in told, text
        assert bool(words) == (shown[text] != then[text]) == bool(told), (text, shown[text], then[text], told)
