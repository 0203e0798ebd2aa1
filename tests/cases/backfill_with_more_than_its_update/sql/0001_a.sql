-- backfill: batched
ALTER TABLE a ADD COLUMN b int;
UPDATE a SET b = 1 WHERE b IS NULL;
