ALTER TABLE person ALTER COLUMN age TYPE bigint;

-- also: result-type-changes
