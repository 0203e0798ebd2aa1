-- also: result-type-changes
ALTER TABLE running ADD COLUMN sort text;
