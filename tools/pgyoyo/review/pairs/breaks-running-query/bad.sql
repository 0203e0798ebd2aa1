-- also: drop-column, result-type-changes
ALTER TABLE running DROP COLUMN kind;
