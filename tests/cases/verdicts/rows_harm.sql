UPDATE event SET score = 1
UPDATE event SET score = 1 WHERE id > 0
UPDATE event SET score = 1 WHERE id >= 10 AND kind IN ('view', 'sale')
UPDATE event SET score = credit FROM account AS a WHERE a.id = event.account_id
UPDATE event AS e SET score = r.account_id FROM ref AS r WHERE r.id = e.id
UPDATE event SET score = 1 WHERE account_id IN (SELECT id FROM account WHERE active)
UPDATE event SET score = 1 WHERE EXISTS (SELECT FROM account AS a WHERE a.id = event.account_id AND a.credit > 0)
UPDATE event SET score = 1 WHERE id = ANY (ARRAY(SELECT id FROM ref))
UPDATE event SET score = 1 WHERE kind = 'view'
UPDATE event SET score = 1 WHERE score IS NULL
UPDATE event SET score = 1 WHERE data ->> 'k' = 'x'
UPDATE event SET score = 1 WHERE at BETWEEN '2025-01-01' AND '2026-01-01'
UPDATE event SET score = (SELECT credit FROM account AS a WHERE a.id = account_id) WHERE id > 0
UPDATE account SET credit = 0 WHERE email LIKE 'user%'
UPDATE account SET plan = 'free' WHERE plan = 'basic'
UPDATE account SET credit = n FROM per_account AS p WHERE p.account_id = account.id
UPDATE account SET credit = s.n FROM (SELECT account_id, count(*) AS n FROM event GROUP BY 1) AS s WHERE s.account_id = account.id
UPDATE bare SET note = 'x' WHERE id = 7 OR note IS NULL
UPDATE bare SET note = a.name FROM account AS a WHERE a.id = bare.account_id
DELETE FROM event WHERE at < '2025-06-01'
DELETE FROM event WHERE at < now() - interval '90 days'
DELETE FROM event WHERE day BETWEEN '2025-01-01' AND '2025-12-31'
DELETE FROM event USING account AS a WHERE a.id = event.account_id AND NOT a.active
DELETE FROM event WHERE NOT EXISTS (SELECT FROM ref WHERE ref.event_id = event.id)
DELETE FROM tag WHERE event_id IN (SELECT id FROM event WHERE at < '2025-06-01')
DELETE FROM bare
/* since 15 */ MERGE INTO event AS e USING ref AS r ON r.id = e.id WHEN MATCHED THEN UPDATE SET score = 1
/* since 15 */ MERGE INTO event AS e USING ref AS r ON r.id = e.id WHEN MATCHED THEN DELETE
INSERT INTO ref (id) SELECT id FROM event WHERE id > 0 ON CONFLICT (id) DO UPDATE SET account_id = 1
WITH w AS (UPDATE event SET score = 1 WHERE id > 0 RETURNING id) SELECT count(*) FROM w
WITH w AS (DELETE FROM event WHERE at < '2025-06-01' RETURNING *) INSERT INTO archive SELECT * FROM w
EXPLAIN ANALYZE UPDATE event SET score = 1 WHERE id > 0
SELECT id FROM event WHERE id > 0 FOR UPDATE
DO $$ BEGIN UPDATE event SET score = 1 WHERE id > 0; END $$
DO $$ BEGIN EXECUTE 'UPDATE event SET score = 1 WHERE id > 0'; END $$
DO $$ DECLARE r record; BEGIN FOR r IN SELECT id FROM event WHERE id > 0 LOOP UPDATE event SET score = 1 WHERE id = r.id; END LOOP; END $$
DO $$ BEGIN LOOP DELETE FROM event WHERE id IN (SELECT id FROM event WHERE at < '2025-06-01' LIMIT 1000); EXIT WHEN NOT FOUND; END LOOP; END $$
DO $$ DECLARE n bigint := 0; BEGIN WHILE n <= (SELECT max(id) FROM event) LOOP UPDATE event SET score = 1 WHERE id >= n AND id < n + 50; n := n + 50; END LOOP; END $$
SELECT refill()
SELECT refill_sql()
SELECT touch(id) FROM ref WHERE id > 0
DO $$ BEGIN PERFORM refill(); END $$
CALL refill_all()
UPDATE sale SET score = 1 WHERE id > 0
DELETE FROM sale WHERE at < '2025-06-01'
UPDATE old_event SET score = 1 WHERE id > 0
UPDATE switch SET is_on = true WHERE id = 1
UPDATE log SET msg = 'x' WHERE id > 0
UPDATE log SET msg = a.name FROM account AS a WHERE a.id = log.account_id
UPDATE log_2025 SET msg = 'x' WHERE id > 0
DELETE FROM log WHERE day < '2025-06-01'
DELETE FROM log USING account AS a WHERE a.id = log.account_id AND NOT a.active
UPDATE bucket SET n = 1 WHERE id > 0
UPDATE setting SET value = 'x' WHERE key = 'spread'
UPDATE event SET score = 1 WHERE id BETWEEN 1 AND 1000000
/* since 17 */ MERGE INTO ref AS r USING event AS e ON e.id = r.event_id WHEN NOT MATCHED BY SOURCE THEN DELETE
WITH gone AS (SELECT id FROM event WHERE at < '2025-06-01') UPDATE event SET score = 1 FROM gone WHERE gone.id = event.id
WITH RECURSIVE n AS (SELECT min(id) AS id FROM event UNION ALL SELECT n.id + 1 FROM n WHERE n.id < (SELECT max(id) FROM event)) UPDATE event SET score = 1 FROM n WHERE n.id = event.id
UPDATE event AS e SET score = l.c FROM account AS a CROSS JOIN LATERAL (SELECT a.credit AS c) AS l WHERE a.id = e.account_id AND e.id > 0
UPDATE event SET score = 1 WHERE (id, kind) IN (SELECT id, 'view' FROM ref)
UPDATE event SET score = 1 WHERE id NOT IN (1, 2, 3)
UPDATE open_job SET done = true WHERE id > 0
UPDATE circle SET area = 1 WHERE area IS NULL
UPDATE shape SET area = 1 WHERE area IS NULL
DELETE FROM ONLY tag WHERE event_id > 0
SELECT count(*) FROM (SELECT id FROM event WHERE id > 0 FOR NO KEY UPDATE) AS locked
UPDATE job SET done = true WHERE tenant_id IN (SELECT id FROM tenant)
INSERT INTO setting SELECT key, 'x' FROM setting WHERE key IN (SELECT 'spread') ON CONFLICT (key) DO UPDATE SET value = 'y'
DELETE FROM event WHERE id = 3999
DELETE FROM folder WHERE id = 5
DELETE FROM team WHERE id = 1
UPDATE team SET code = 'c' WHERE id = 1
UPDATE team SET code = 'c' WHERE code = 'a'
UPDATE folder SET is_default = true WHERE id = 5
DELETE FROM team WHERE code IN ('a', 'b')
DO $$ BEGIN DELETE FROM team WHERE id = 1; END $$
WITH gone AS (DELETE FROM team WHERE id = 1 RETURNING id) SELECT count(*) FROM gone
DELETE FROM tag WHERE name = 'a'
UPDATE job SET done = true WHERE owner_id = 1
DELETE FROM seat WHERE team_id = 1
UPDATE tag SET name = name || 'x' WHERE name = 'a' AND event_id > 0
UPDATE item SET state = 'x' WHERE owner_id = 1 AND n > 0
UPDATE item SET code = 'x' WHERE data @> '{"k": "x"}'
DO $$ BEGIN UPDATE item SET code = 'x' WHERE owner_id = 1 AND n > 0; END $$
DELETE FROM seat WHERE team_id = 1 AND id > 5
UPDATE event AS e SET score = a.credit FROM account AS a WHERE a.id = e.account_id AND a.active
UPDATE bare SET note = (SELECT name FROM account WHERE account.id = bare.account_id)
DELETE FROM job USING tenant WHERE tenant.id = job.tenant_id AND tenant.name IS NOT NULL
UPDATE log SET msg = upper(msg) WHERE day BETWEEN '2025-01-01' AND '2026-12-31'
/* since 15 */ MERGE INTO ref USING event ON event.id = ref.event_id WHEN MATCHED THEN UPDATE SET label = event.kind
INSERT INTO account (id, email, active) SELECT id, email, active FROM account ON CONFLICT (id) DO UPDATE SET credit = 1
UPDATE item SET state = 'done' WHERE n >= 0
UPDATE item SET seen = now() WHERE lower(code) > ''
WITH s AS (SELECT id FROM event WHERE score IS NULL) UPDATE event SET score = 0 FROM s WHERE s.id = event.id
DELETE FROM tag WHERE EXISTS (SELECT FROM event WHERE event.id = tag.event_id)
UPDATE bucket SET n = n + 1 WHERE id % 2 = 0
DO $$ DECLARE r record; BEGIN FOR r IN SELECT id FROM ref LOOP UPDATE ref SET label = 'x' WHERE id = r.id; END LOOP; END $$
SELECT touch(id) FROM event
UPDATE sale SET note = 'x' WHERE at < now()
UPDATE diary SET text = text || '' WHERE mood = 'good'
UPDATE named SET age = 5 WHERE born IS NULL OR born > '2000-01-01'
DO $$ BEGIN PERFORM 1 FROM event WHERE id > 0 FOR UPDATE; END $$
SELECT lock_events()
INSERT INTO gate VALUES (5, true)
UPDATE worker SET name = 'x' WHERE id = 1
DELETE FROM run WHERE status = 'held'
UPDATE run SET status = 'done' WHERE status = 'open' AND at < '2026-01-01'
UPDATE doc SET body = 'x' WHERE found @@ 'b5 | !zz'
WITH d AS (DELETE FROM slot WHERE worker_id = 1 RETURNING run_id) UPDATE run SET note = 'x' FROM d WHERE run.id = d.run_id
SELECT run_id FROM slot WHERE worker_id = 1 FOR SHARE
UPDATE ONLY shape SET area = 1
UPDATE doc SET number = number + 1000000
UPDATE worker SET seen = now() FROM slot WHERE slot.worker_id = worker.id
