UPDATE event SET score = 1 WHERE id = 5
UPDATE event SET score = 1 WHERE id IN (1, 2, 3)
UPDATE event SET score = 1 WHERE id BETWEEN 5 AND 10
UPDATE event SET score = 1 WHERE id = 5 AND kind = 'view' AND at > '2020-01-01'
UPDATE event SET score = 1 WHERE id = (SELECT max(id) FROM event)
UPDATE event SET score = 1 WHERE id IN (SELECT id FROM event ORDER BY id LIMIT 50)
UPDATE event SET score = credit FROM account AS a WHERE a.id = event.account_id AND event.id = 5
UPDATE event SET score = v.n FROM (VALUES (1, 10), (2, 20)) AS v (id, n) WHERE v.id = event.id
UPDATE account SET credit = 0 WHERE email = 'user7@example.org'
UPDATE account SET credit = (SELECT count(*) FROM event WHERE account_id = 5) WHERE id = 5
UPDATE setting SET value = 'x' WHERE key = 'mode'
UPDATE sale SET score = 1 WHERE id = 5
UPDATE old_event SET score = 1 WHERE id = 5
UPDATE log SET msg = 'x' WHERE id = 5
UPDATE log SET msg = 'x' WHERE id = 5 AND day = '2025-03-01'
UPDATE bucket SET n = 1 WHERE id = 5
DELETE FROM job WHERE id = 5
UPDATE folder SET name = 'x' WHERE id = 5
UPDATE folder SET parent_id = 1 WHERE id = 6
UPDATE team SET name = 'x' WHERE id = 1
UPDATE task SET team_id = 2 WHERE id = 5
DELETE FROM tag WHERE event_id = 5 AND name = 'a'
DELETE FROM event WHERE id IN (SELECT id FROM event WHERE at < '2025-06-01' ORDER BY at LIMIT 40)
/* since 15 */ MERGE INTO setting AS s USING (VALUES ('mode', 'x')) AS v (key, value) ON v.key = s.key WHEN MATCHED THEN UPDATE SET value = v.value WHEN NOT MATCHED THEN INSERT VALUES (v.key, v.value)
INSERT INTO setting VALUES ('size', 'x'), ('speed', 'y')
INSERT INTO setting VALUES ('mode', 'x') ON CONFLICT (key) DO UPDATE SET value = 'z'
INSERT INTO setting SELECT 'other', 'x' WHERE NOT EXISTS (SELECT FROM setting WHERE key = 'other')
INSERT INTO archive SELECT * FROM event WHERE id > 0
CREATE TABLE event_copy AS SELECT * FROM event WHERE id > 0
WITH w AS (UPDATE event SET score = 1 WHERE id = 5 RETURNING id) SELECT count(*) FROM w
SELECT count(*) FROM event
SELECT id FROM event WHERE id = 5 FOR UPDATE
SELECT touch(5)
DO $$ BEGIN UPDATE event SET score = 1 WHERE id = 5; END $$
DO $$ BEGIN IF EXISTS (SELECT FROM setting WHERE key = 'mode') THEN UPDATE setting SET value = 'x' WHERE key = 'mode'; END IF; END $$
DO $$ DECLARE r record; BEGIN FOR r IN SELECT key FROM setting WHERE key IN ('a', 'b') LOOP UPDATE setting SET value = 'x' WHERE key = r.key; END LOOP; END $$
UPDATE event SET score = 1 WHERE id BETWEEN 1 AND 1000
/* since 15 */ MERGE INTO event AS e USING (VALUES (5, 1), (7, 2)) AS v (id, score) ON v.id = e.id WHEN MATCHED THEN UPDATE SET score = v.score
WITH old AS (SELECT id FROM event WHERE at < '2025-06-01' ORDER BY at LIMIT 40) DELETE FROM event USING old WHERE old.id = event.id
INSERT INTO ref (id) SELECT id + 1000000 FROM event ON CONFLICT DO NOTHING
UPDATE event SET score = 1 WHERE ctid = '(0,1)'
UPDATE open_job SET done = true WHERE id = 5
UPDATE shape SET area = 1 WHERE id = 5
UPDATE tenant SET name = 'x' WHERE id = 1
UPDATE job SET done = true WHERE id = 5 RETURNING *
SELECT id FROM event ORDER BY id LIMIT 10 FOR UPDATE SKIP LOCKED
SELECT setval('counter', (SELECT coalesce(max(id), 1) FROM event))
SELECT count(*), max(at) FROM event JOIN account ON account.id = account_id WHERE event.id > 0
INSERT INTO tenant (id, name) SELECT 900, 'x' WHERE NOT EXISTS (SELECT FROM tenant WHERE id = 900)
DO $$ BEGIN ASSERT (SELECT count(*) FROM event) >= 0; END $$
ANALYZE event
COPY ref (id) TO STDOUT
SELECT id FROM ref
DELETE FROM tag WHERE (event_id, name) = (5, 'a')
DELETE FROM tag WHERE (event_id, name) IN ((5, 'a'), (7, 'b'))
UPDATE log SET day = '2026-02-02' WHERE id = 5 AND day = '2025-05-05'
DELETE FROM seat WHERE id = 5 AND team_id = 2
DELETE FROM task WHERE id = 5
DELETE FROM log WHERE id = 5
UPDATE item SET code = 'x' WHERE owner_id = 1 AND n = 5
UPDATE log SET msg = 'x' WHERE id = 5 AND day > '2025-01-01'
/* since 15 */ MERGE INTO item USING (VALUES (1, 5)) AS v (o, m) ON owner_id = v.o AND n = v.m WHEN MATCHED THEN UPDATE SET code = 'x'
UPDATE item SET code = v.c FROM (VALUES (1, 5, 'x'), (2, 6, 'y')) AS v (o, m, c) WHERE v.o = owner_id AND v.m = n
UPDATE event SET score = 1 WHERE id = (SELECT id FROM account WHERE id = 7)
UPDATE account SET credit = 1 WHERE email = 'a@x'
DELETE FROM tag WHERE event_id = 3 AND name = 'a'
UPDATE log SET msg = 'x' WHERE id = 5 AND day = '2025-02-03'
UPDATE item SET state = 'x' WHERE owner_id = 3 AND n = 4
SELECT setval('counter', greatest((SELECT max(id) FROM event), nextval('counter')))
/* since 15 */ MERGE INTO setting AS s USING (VALUES ('a', 'b')) AS v (k, w) ON v.k = s.key WHEN MATCHED THEN UPDATE SET value = w WHEN NOT MATCHED THEN INSERT VALUES (k, w)
INSERT INTO tenant VALUES (900001, 'x') ON CONFLICT DO NOTHING
UPDATE event SET note = 'x' WHERE id = ANY (ARRAY[1, 2, 3])
DELETE FROM job WHERE id IN (VALUES (1::bigint), (2))
UPDATE diary SET mood = 'bad' WHERE id IN (5, 6) AND mood = 'good'
INSERT INTO log VALUES (900001, '2026-05-05', 1, 'x') ON CONFLICT (id, day) DO UPDATE SET msg = 'y'
DO $$ BEGIN PERFORM 1 FROM event WHERE id = 5 FOR UPDATE; PERFORM count(*) FROM bare; END $$
UPDATE run SET status = 'done' WHERE tenant_id = 1 AND at = '2025-05-05' AND id = 5 AND status = 'open'
UPDATE doc SET deleted_at = now() WHERE number = 5 AND deleted_at IS NULL
UPDATE doc SET body = 'x' WHERE number = 5
DELETE FROM cache WHERE ctid = ANY (ARRAY(SELECT ctid FROM cache WHERE until < now() LIMIT 50))
DELETE FROM ONLY log
UPDATE event SET score = 1 WHERE false
UPDATE event SET score = 1 WHERE 1 = 0 AND id > 5
INSERT INTO slot SELECT id, 'b', 1 FROM event
/* since 15 */ MERGE INTO archive USING event ON false WHEN NOT MATCHED THEN INSERT (id, account_id, at, day, kind) VALUES (event.id, 1, now(), now(), 'x')
DO $$ DECLARE i int; BEGIN FOREACH i IN ARRAY ARRAY[1, 2, 3] LOOP DELETE FROM cache WHERE key = 'k' || i; END LOOP; END $$
UPDATE run_2025_open SET note = 'x' WHERE tenant_id = 1 AND at = '2025-05-05' AND id = 5 AND status = 'open'
