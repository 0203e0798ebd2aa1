ALTER TABLE running ADD COLUMN sort text NOT NULL DEFAULT 'usual';
