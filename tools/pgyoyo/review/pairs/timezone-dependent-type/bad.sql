ALTER TABLE person ALTER COLUMN born TYPE timestamptz;

-- also: result-type-changes
