-- backfill: batched
UPDATE person SET age = 0 WHERE age IS NULL;
