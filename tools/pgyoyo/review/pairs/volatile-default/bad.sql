ALTER TABLE person ADD COLUMN token uuid DEFAULT gen_random_uuid();

-- also: result-type-changes
