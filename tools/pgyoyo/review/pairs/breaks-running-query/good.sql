ALTER TABLE running ADD COLUMN sort text;
