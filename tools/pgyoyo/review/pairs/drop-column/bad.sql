ALTER TABLE person DROP COLUMN age;

-- also: result-type-changes
