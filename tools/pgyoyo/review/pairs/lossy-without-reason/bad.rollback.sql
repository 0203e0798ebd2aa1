ALTER TABLE pet ADD COLUMN name text;
