ALTER TABLE pet ADD COLUMN weight integer NOT NULL;

-- also: result-type-changes
