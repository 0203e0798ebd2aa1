ALTER TABLE pet ADD COLUMN size integer;
SELECT pg_sleep(0.01);

-- also: result-type-changes, lock-held-to-the-end
