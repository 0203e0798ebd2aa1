ALTER TABLE person RENAME COLUMN nickname TO called;

-- also: result-type-changes
