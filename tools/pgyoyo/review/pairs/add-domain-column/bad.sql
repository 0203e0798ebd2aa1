ALTER TABLE pet ADD COLUMN weight positive;

-- also: result-type-changes
