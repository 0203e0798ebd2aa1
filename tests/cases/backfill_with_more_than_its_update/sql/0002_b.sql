-- backfill: batched
-- transactional: false
UPDATE a SET b = 1 WHERE b IS NULL;
