DELETE FROM tag WHERE name = 'a' AND event_id > 0
DELETE FROM tag WHERE event_id > 0 AND name LIKE 'a%'
DELETE FROM tag WHERE name = 'a' AND event_id BETWEEN 1 AND 1000000
UPDATE item SET state = 'x' WHERE owner_id = 1
UPDATE item SET state = 'x' WHERE owner_id = 1 AND n BETWEEN 1 AND 1000000
UPDATE item SET state = 'x' WHERE owner_id = 1 AND n <> 5
DELETE FROM item WHERE owner_id = 1 AND n IS NOT NULL
UPDATE item SET state = 'x' WHERE owner_id IN (1, 2) AND n >= 5
UPDATE item SET state = 'x' WHERE owner_id <> 2
UPDATE item SET state = 'x' WHERE (owner_id, n) > (1, 5)
UPDATE item SET state = 'x' WHERE lower(code) >= 'c'
UPDATE item SET state = 'x' WHERE lower(code) LIKE 'c%'
UPDATE item SET seen = now() WHERE state <> 'done' AND n > 0
UPDATE item SET seen = now() WHERE state = 'open'
UPDATE item SET seen = now() WHERE state = 'open' AND n > 5
UPDATE item SET code = 'x' WHERE data IS NOT NULL
DELETE FROM item WHERE data ? 'k'
UPDATE item SET code = 'x' WHERE span && int4range(1, 1000000)
UPDATE item SET code = 'x' WHERE seen > '2025-01-01'
UPDATE item SET code = 'x' WHERE n < 100 OR n > 200
UPDATE item SET code = 'x' WHERE n = ANY (ARRAY(SELECT generate_series(1, 100000)))
DO $$ DECLARE k record; BEGIN FOR k IN SELECT n FROM item WHERE owner_id = 1 LOOP UPDATE item SET code = 'x' WHERE owner_id = 1 AND n = k.n; END LOOP; END $$
SELECT recode(1)
/* since 15 */ MERGE INTO item USING (VALUES (1)) AS v (o) ON owner_id = v.o WHEN MATCHED THEN DELETE
/* since 15 */ MERGE INTO item USING (VALUES (1)) AS v (o) ON owner_id = v.o AND n > 0 WHEN MATCHED THEN UPDATE SET code = 'x'
INSERT INTO item SELECT * FROM item WHERE owner_id = 1 AND n > 0 ON CONFLICT (owner_id, n) DO UPDATE SET code = 'x'
WITH w AS (DELETE FROM item WHERE owner_id = 1 AND n > 0 RETURNING *) SELECT count(*) FROM w
SELECT n FROM item WHERE owner_id = 1 AND n > 0 FOR UPDATE
UPDATE log SET msg = 'x' WHERE day >= '2025-01-01' AND id > 0
UPDATE log SET msg = 'x' WHERE id IS NOT NULL
DELETE FROM log WHERE id > 5 AND day < '2025-06-01'
UPDATE seat SET team_id = 2 WHERE team_id = 1 AND id > 0
DELETE FROM run WHERE tenant_id = 1 AND at < '2025-06-01'
UPDATE run SET note = 'x' WHERE id IN (SELECT run_id FROM slot WHERE worker_id = 1)
UPDATE doc SET deleted_at = now() WHERE deleted_at IS NULL
UPDATE slot SET worker_id = 2 WHERE worker_id = 1
DELETE FROM cache WHERE until < now() + interval '1 day'
DELETE FROM run_2025
DELETE FROM doc USING account WHERE account.id = doc.owner_id AND account.active
