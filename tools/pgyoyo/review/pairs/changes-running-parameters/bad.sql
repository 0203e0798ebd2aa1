-- also: change-column-type, result-type-changes
ALTER TABLE running ALTER COLUMN code TYPE bigint;
