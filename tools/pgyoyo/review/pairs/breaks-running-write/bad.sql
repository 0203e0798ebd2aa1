-- also: result-type-changes, not-null-without-default
ALTER TABLE running ADD COLUMN sort text NOT NULL;
