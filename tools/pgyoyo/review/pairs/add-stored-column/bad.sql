ALTER TABLE person ADD COLUMN initial text GENERATED ALWAYS AS (left(name, 1)) STORED;

-- also: result-type-changes
