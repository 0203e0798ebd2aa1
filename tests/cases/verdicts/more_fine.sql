UPDATE item SET code = 'x' WHERE owner_id = 1 AND n BETWEEN 5 AND 10
UPDATE item SET code = 'x' WHERE owner_id = 1 AND n > 5 AND n <= 10
UPDATE item SET code = 'x' WHERE owner_id = 1 AND n IN (1, 2, 3)
UPDATE item SET code = 'x' WHERE owner_id = ANY (ARRAY[1, 2]) AND n = 5
UPDATE item SET code = 'x' WHERE (owner_id, n) = (1, 5)
UPDATE item SET code = 'x' WHERE owner_id = 1 AND n = ANY ('{1, 2, 3}')
UPDATE item SET code = 'x' WHERE owner_id = 2 AND n = 5 AND span @> 5
UPDATE item SET code = 'x' WHERE owner_id = 1 AND n = (SELECT min(n) FROM item WHERE owner_id = 1)
UPDATE item SET code = 'x' FROM account AS a WHERE a.id = item.owner_id AND item.owner_id = 1 AND n = 5
DELETE FROM item WHERE owner_id = 1 AND n = 5 AND state <> 'done'
DELETE FROM item WHERE (owner_id = 1 AND n = 5) OR (owner_id = 2 AND n = 7)
DO $$ BEGIN UPDATE item SET code = 'x' WHERE owner_id = 1 AND n = 5; END $$
SELECT recode_one(1)
SELECT n FROM item WHERE owner_id = 1 AND n = 5 FOR UPDATE
/* since 15 */ MERGE INTO item USING (VALUES (1, 5)) AS v (owner_id, n) ON item.owner_id = v.owner_id AND item.n = v.n WHEN MATCHED THEN UPDATE SET code = 'x'
INSERT INTO item VALUES (1, 5, '[1,2)') ON CONFLICT (owner_id, n) DO UPDATE SET code = 'x'
INSERT INTO item SELECT owner_id, n + 100000, span FROM item WHERE owner_id = 1 AND n > 0
UPDATE log SET msg = 'x' WHERE id = 5 AND day BETWEEN '2025-01-01' AND '2025-02-01'
DELETE FROM log WHERE (id, day) = (5, '2025-05-05')
UPDATE account SET credit = 0 WHERE email = 'user7@example.org' OR id = 5
DELETE FROM doc WHERE id = '00000000-0000-0000-0000-000000000005'
UPDATE doc SET body = 'x' WHERE id = '00000000-0000-0000-0000-000000000005'::uuid
DELETE FROM cache WHERE key = 'k5'
UPDATE ONLY shape SET area = 1 WHERE id = 5
UPDATE event SET score = 1 WHERE id IS NULL
UPDATE tenant SET name = (SELECT string_agg(note, ',') FROM event) WHERE id = 1
INSERT INTO run SELECT 9, at, id, status, note FROM run
DO $$ BEGIN FOR i IN 1..10 LOOP UPDATE event SET score = 1 WHERE id = i; END LOOP; END $$
DO $$ BEGIN UPDATE doc SET body = 'x' WHERE id = '00000000-0000-0000-0000-000000000005'; EXCEPTION WHEN unique_violation THEN NULL; END $$
DO $$ DECLARE n bigint; BEGIN SELECT count(*) INTO n FROM doc; RAISE NOTICE '% documents', n; END $$
SELECT pg_advisory_xact_lock(1)
SELECT id FROM doc WHERE number = 5 FOR NO KEY UPDATE
WITH n AS (INSERT INTO setting VALUES ('new', 'x') RETURNING key) UPDATE setting SET value = 'y' WHERE key = 'mode'
