"""Batch loops written by hand are recognised, with the plain statement to write instead."""

import pytest

from pgyoyo.sql.loops import hand_loop

LOOP = """CREATE OR REPLACE PROCEDURE fill() LANGUAGE plpgsql AS $$
DECLARE n int;
BEGIN
  LOOP
    {};
    GET DIAGNOSTICS n = ROW_COUNT; EXIT WHEN n = 0; COMMIT; PERFORM pg_sleep(0.1);
  END LOOP;
END $$"""
STATEMENTS = {
    "UPDATE person SET age = 0 WHERE id IN (SELECT id FROM person WHERE age IS NULL LIMIT 1000)":
        "UPDATE person SET age = 0 WHERE age IS NULL",
    "UPDATE s.person SET age = 0 WHERE ctid = ANY (ARRAY(SELECT ctid FROM s.person p WHERE p.age IS NULL LIMIT 9))":
        "UPDATE s.person SET age = 0 WHERE age IS NULL",
    "WITH b AS (SELECT id FROM person WHERE age IS NULL LIMIT 1000 FOR UPDATE SKIP LOCKED) "
    "UPDATE person t SET age = 0 FROM b WHERE t.id = b.id": "UPDATE person t SET age = 0 WHERE age IS NULL",
    "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at < '2020-01-01' AND b LIMIT 500) AND c = 1":
        "DELETE FROM audit WHERE c = 1 AND at < '2020-01-01' AND b",
    "INSERT INTO n SELECT * FROM o WHERE NOT EXISTS (SELECT FROM n WHERE n.id = o.id) LIMIT 1000 ON CONFLICT DO NOTHING":
        "INSERT INTO n SELECT * FROM o WHERE NOT EXISTS (SELECT FROM n WHERE n.id = o.id) ON CONFLICT DO NOTHING",
    "UPDATE person SET age = 0 WHERE id BETWEEN n AND n + 999": "",
    "WITH u AS (UPDATE person SET age = 0 WHERE id IN (SELECT id FROM person WHERE age IS NULL LIMIT 5) RETURNING 1) "
    "SELECT count(*) INTO n FROM u": "UPDATE person SET age = 0 WHERE age IS NULL",
    "WITH gone AS (DELETE FROM o WHERE id IN (SELECT id FROM o LIMIT 9) RETURNING *) INSERT INTO n SELECT * FROM gone": "",
    "EXECUTE 'DELETE FROM person WHERE id IN (SELECT id FROM person WHERE NOT b LIMIT $1)' USING n":
        "DELETE FROM person WHERE NOT b",
    "EXECUTE format('UPDATE %I SET x = %L WHERE id IN (SELECT id FROM %1$I LIMIT 1) AND a', 'person', n)": "",
    "EXECUTE format('UPDATE %2$I SET x = %1$L WHERE id IN (SELECT id FROM %I LIMIT 1)', 'it''s', 'p', 'p')":
        "UPDATE p SET x = 'it''s'",
    "EXECUTE format('UPDATE %I SET x = 0 WHERE id IN (SELECT id FROM %1$I WHERE x %% 2 = %s LIMIT %s)', 'Per son', '1', n)":
        'UPDATE "Per son" SET x = 0 WHERE (x % 2) = 1',
    "EXECUTE format(); UPDATE person SET age = 0 WHERE id IN (SELECT id FROM person LIMIT 9)": "UPDATE person SET age = 0",
    "FOREACH n IN ARRAY a LOOP UPDATE person SET age = 0 WHERE id = n; COMMIT; END LOOP": "",
}  # fmt: skip


@pytest.mark.parametrize("statement", STATEMENTS)
@pytest.mark.parametrize("code", ["procedure", "do"])
def test_loop_is_recognised_with_its_plain_statement(statement: str, code: str) -> None:
    text = LOOP.format(statement)
    if code == "do":
        text = text.replace("CREATE OR REPLACE PROCEDURE fill() LANGUAGE plpgsql AS", "DO")
    loop = hand_loop(text)
    assert loop
    assert loop.plain == STATEMENTS[statement]


@pytest.mark.parametrize(
    "text",
    [
        LOOP.format("PERFORM 1"),
        LOOP.format("EXECUTE q; EXECUTE 'nonsense'; EXECUTE format(q, 1); EXECUTE 'SELECT ' || 1"),
        LOOP.format("UPDATE t SET a = 1 WHERE b IN (SELECT c FROM u LIMIT 1)").replace("COMMIT;", ""),
        "UPDATE t SET a = 1 -- loop commit",
        "DO $$ nonsense loop commit $$",
        "DO $$ BEGIN UPDATE t SET a = 1; COMMIT; END $$ -- loop",
    ],
)
def test_other_code_is_left_alone(text: str) -> None:
    assert hand_loop(text) is None
