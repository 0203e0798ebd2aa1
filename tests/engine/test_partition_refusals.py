"""What is to be written in place of a statement that PostgreSQL refuses on a partitioned table; and that it can be."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

import staging
from pgyoyo.engine.partition_refusals import instead
from pgyoyo.migrations import reader
from pgyoyo.review.stage import RehearsalDatabases
from pgyoyo.scratch import databases

SCHEMA = """
CREATE TABLE o (id int PRIMARY KEY);
CREATE TABLE p (id int, d int, v text, o_id int, PRIMARY KEY (id, d)) PARTITION BY RANGE (d);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10); CREATE TABLE pd PARTITION OF p DEFAULT;
CREATE INDEX pi ON p (v); CREATE TABLE x (id int NOT NULL, d int NOT NULL, v text, o_id int);
CREATE TABLE l (d int) PARTITION BY LIST (d);
INSERT INTO p VALUES (1, 1, 'a'), (2, 25, 'b');
"""
ALL = range(14, 99)
ONLY = "the same statement without ONLY"
PARENT = "the same statement for the parent"
EACH = "the same statement for each partition"
# Refused, what is written instead, and what does it; versions that refuse it.
CASES = [
    ("CREATE INDEX CONCURRENTLY i ON ONLY p (o_id)", "CREATE INDEX ON ONLY",
     "CREATE INDEX i ON ONLY p (o_id); CREATE INDEX i1 ON p1 (o_id); ALTER INDEX i ATTACH PARTITION i1", ALL),
    ("DROP INDEX CONCURRENTLY pi", "DROP INDEX pi with", "DROP INDEX pi", ALL),
    ("ALTER TABLE p ADD CONSTRAINT f FOREIGN KEY (o_id) REFERENCES o NOT VALID", "NOT VALID to each partition",
     ("ALTER TABLE p1 ADD CONSTRAINT f FOREIGN KEY (o_id) REFERENCES o NOT VALID; ALTER TABLE p1 VALIDATE CONSTRAINT f; "
     "ALTER TABLE pd ADD CONSTRAINT f FOREIGN KEY (o_id) REFERENCES o NOT VALID; ALTER TABLE pd VALIDATE CONSTRAINT f; "
     "ALTER TABLE p ADD CONSTRAINT f FOREIGN KEY (o_id) REFERENCES o"), range(14, 18)),
    ("ALTER TABLE ONLY p ADD FOREIGN KEY (o_id) REFERENCES o", ONLY,
     "ALTER TABLE p ADD FOREIGN KEY (o_id) REFERENCES o", ALL),
    ("CREATE UNIQUE INDEX ON p (v)", "column d in it", "CREATE UNIQUE INDEX ON p (v, d)", ALL),
    ("ALTER TABLE p ADD UNIQUE (v)", "column d in it", "ALTER TABLE p ADD UNIQUE (v, d)", ALL),
    ("CREATE TABLE z (a int UNIQUE) PARTITION BY RANGE ((a + 1))", "plain columns",
     "CREATE TABLE z (a int UNIQUE) PARTITION BY RANGE (a)",
     ALL),
    ("ALTER TABLE p ADD EXCLUDE (v WITH =)", EACH, "ALTER TABLE p1 ADD EXCLUDE (v WITH =)", range(14, 17)),
    ("CREATE UNIQUE INDEX k ON p (v, d); ALTER TABLE p ADD CONSTRAINT c UNIQUE USING INDEX k", "ATTACH PARTITION",
     ("ALTER TABLE ONLY p ADD CONSTRAINT c UNIQUE (v, d); CREATE UNIQUE INDEX k1 ON p1 (v, d); "
     "ALTER TABLE p1 ADD CONSTRAINT k1 UNIQUE USING INDEX k1; ALTER INDEX c ATTACH PARTITION k1"), ALL),
    ("ALTER TABLE ONLY p ADD COLUMN n int", ONLY, "ALTER TABLE p ADD COLUMN n int", ALL),
    ("ALTER TABLE ONLY p RENAME v TO w", ONLY, "ALTER TABLE p RENAME v TO w", ALL),
    ("ALTER TABLE p1 ADD COLUMN n int", PARENT, "ALTER TABLE p ADD COLUMN n int", ALL),
    ("ALTER TABLE p1 DROP COLUMN v", PARENT, "ALTER TABLE p DROP COLUMN v", ALL),
    ("ALTER TABLE p1 DROP CONSTRAINT p1_pkey", PARENT, "ALTER TABLE p DROP CONSTRAINT p_pkey", ALL),
    ("ALTER TABLE p ALTER d TYPE bigint", "a new partitioned table", "SELECT 1", ALL),
    ("ALTER TABLE p CLUSTER ON pi", "CLUSTER for each", "CLUSTER p1 USING p1_v_idx", ALL),
    ("ALTER INDEX pi SET (fillfactor = 70)", "index of each partition",
     "ALTER INDEX p1_v_idx SET (fillfactor = 70)", range(16, 99)),
    ("ALTER TABLE p SET UNLOGGED", EACH, "ALTER TABLE p1 SET UNLOGGED", range(18, 99)),
    ("ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY", "without CONCURRENTLY", "ALTER TABLE p DETACH PARTITION p1", ALL),
    ("CREATE TABLE n PARTITION OF p FOR VALUES FROM (20) TO (30)", "DETACH pd",
     ("BEGIN; ALTER TABLE p DETACH PARTITION pd; CREATE TABLE n PARTITION OF p FOR VALUES FROM (20) TO (30); "
     "WITH moved AS (DELETE FROM pd WHERE d BETWEEN 20 AND 29 RETURNING *) INSERT INTO p SELECT * FROM moved; "
     "ALTER TABLE p ATTACH PARTITION pd DEFAULT; COMMIT"), ALL),
    ("INSERT INTO l VALUES (1)", "PARTITION OF l",
     "CREATE TABLE l1 PARTITION OF l FOR VALUES IN (1); INSERT INTO l VALUES (1)", ALL),
    ("ALTER TABLE p1 NO INHERIT p", "DETACH", "ALTER TABLE p DETACH PARTITION p1", ALL),
    ("ALTER TABLE p ADD CHECK (id > 0) NO INHERIT", "without NO INHERIT", "ALTER TABLE p ADD CHECK (id > 0)", ALL),
    ("ALTER TABLE p1 ALTER id ADD GENERATED ALWAYS AS IDENTITY", PARENT,
     "ALTER TABLE p ALTER id ADD GENERATED ALWAYS AS IDENTITY",
     range(17, 99)),
    (("CREATE TRIGGER t AFTER INSERT ON p REFERENCING NEW TABLE AS n FOR EACH ROW "
     "EXECUTE FUNCTION suppress_redundant_updates_trigger()"), "FOR EACH STATEMENT",
     ("CREATE TRIGGER t AFTER INSERT ON p REFERENCING NEW TABLE AS n FOR EACH STATEMENT "
     "EXECUTE FUNCTION suppress_redundant_updates_trigger()"), ALL),
    ("ALTER TABLE ONLY p ALTER v SET NOT NULL", "",
     "ALTER TABLE p ALTER v SET NOT NULL", range(14, 99)),  # the server's HINT says it
    ("SELECT 1 / 0", "", "SELECT 1", ALL),
]  # fmt: skip


@pytest.fixture(scope="module")
def shared(maker: psycopg.Connection, server_conninfo: str) -> Iterator[psycopg.Connection]:
    """A session with a database for all cases."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    databases.create(maker, name)
    with psycopg.connect(server_conninfo, dbname=name, autocommit=True) as conn:
        yield conn
    databases.drop(maker, name)


@pytest.mark.parametrize(("refused", "words", "done", "versions"), CASES, ids=[case[0] for case in CASES])
def test_what_to_write_instead(
    shared: psycopg.Connection, refused: str, words: str, done: str, versions: range
) -> None:
    if shared.info.server_version // 10000 not in versions:
        return  # this version takes it, or refuses it in other words
    shared.execute(f"DROP SCHEMA public CASCADE; CREATE SCHEMA public; {SCHEMA}".encode())
    *before, last = refused.split("; ")
    for text in before:
        shared.execute(text.encode())
    with pytest.raises(psycopg.Error) as caught:
        shared.execute(last.encode())
    line = instead(caught.value)
    assert words in line
    assert line.startswith("\nWrite instead: ") is bool(words)
    for text in done.split("; "):
        shared.execute(text.encode())


def test_review_says_it(stage: RehearsalDatabases, tmp_path: Path) -> None:
    staging.write(tmp_path / "sql", {"0001_p": (SCHEMA, None), "0002_k": ("ALTER TABLE p ADD UNIQUE (v);", None)})
    first, second = reader.read([str(tmp_path / "sql")]).migrations
    staging.begin(stage, [first])
    [failed] = stage.rehearse(second).statements
    assert "\nWrite instead: the key with the column d in it, too" in str(failed.error)
