-- change: an index goes
DROP INDEX event_account_idx;
-- then query-loses-index warning; with (5)
SELECT id, kind FROM event WHERE account_id = $1;
-- then query-loses-index warning; with (5)
SELECT id FROM events WHERE of = $1;
-- then query-loses-index warning; with (5)
UPDATE event SET kind = 'x' WHERE account_id = $1 AND kind = 'none';
-- then query-loses-index warning; with (1)
SELECT e.id FROM account AS a JOIN event AS e ON e.account_id = a.id WHERE a.id = $1;
-- then query-loses-index warning; with (5)
WITH mine AS (SELECT id FROM event WHERE account_id = $1) SELECT count(*) FROM mine;
-- then fine; with (5)
SELECT kind FROM event WHERE id = $1;
-- then fine; with (5, 5)
SELECT kind FROM event WHERE id = $1 AND account_id = $2;
-- then fine; with ('x')
SELECT id FROM event WHERE payload = $1;
-- then fine; with (5)
INSERT INTO event (id) VALUES (5000 + $1);

-- change: a wider index takes its place
CREATE INDEX event_of ON event (account_id, at); DROP INDEX event_account_idx;
-- then fine; with (5)
SELECT id, kind FROM event WHERE account_id = $1;
-- then fine; with (1)
SELECT e.id FROM account AS a JOIN event AS e ON e.account_id = a.id WHERE a.id = $1;

-- change: the same index under another name, made by the migration
DROP INDEX event_account_idx; CREATE INDEX event_of ON event (account_id);
-- then fine; with (5)
SELECT id, kind FROM event WHERE account_id = $1;

-- change: an index in which the column comes second
DROP INDEX event_account_idx; CREATE INDEX event_account_idx ON event (kind, account_id);
-- then fine; with (5, 'kind 5')
SELECT id FROM event WHERE account_id = $1 AND kind = $2;

-- change: an index of other rows
DROP INDEX event_account_idx; CREATE INDEX event_account_idx ON event (account_id) WHERE kind = 'kind 1';
-- then query-loses-index warning; with (5)
SELECT id, kind FROM event WHERE account_id = $1;

-- change: the primary key goes
ALTER TABLE event DROP CONSTRAINT event_pkey;
-- then query-loses-index warning; with (5)
SELECT kind FROM event WHERE id = $1;
-- then query-loses-index warning; with (5)
DELETE FROM event WHERE id = $1 AND kind = 'none';

-- change: an index that gives the order goes
DROP INDEX event_at_idx;
-- then query-loses-index warning; with (5)
SELECT id FROM event ORDER BY at DESC LIMIT $1;
-- then query-loses-index warning; with ('2026-01-01 00:00:05Z')
SELECT id FROM event WHERE at < $1;
-- then query-loses-index warning; with (0)
SELECT max(at) FROM event WHERE 0 = $1;
-- then fine; with (5)
SELECT id FROM event WHERE account_id = $1;

-- change: an index on an expression goes with its function's index
DROP INDEX event_kind_idx;
-- then query-loses-index warning; with ('kind 5')
SELECT id FROM event WHERE lower(kind) = $1;
-- then fine; with (5)
SELECT id FROM event WHERE kind = 'none' AND id = $1;

-- change: the type of the column changes, and its index with it
ALTER TABLE event ALTER COLUMN at TYPE timestamptz(3), ALTER COLUMN payload TYPE varchar(500);
-- then fine; with ('2026-01-01 00:00:05Z')
SELECT id FROM event WHERE at < $1;

-- change: an index is renamed, clustered on, rebuilt
ALTER INDEX event_account_idx RENAME TO event_of; REINDEX INDEX event_of; CLUSTER event USING event_of;
-- then fine; with (5)
SELECT id, kind FROM event WHERE account_id = $1;

-- change: an index that no statement uses goes
CREATE INDEX event_payload_idx ON event (payload); DROP INDEX event_at_idx;
-- then fine; with (5)
SELECT id, kind FROM event WHERE account_id = $1;
-- then fine; with (5)
SELECT kind FROM event WHERE id = $1;
