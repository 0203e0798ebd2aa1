-- lossy: the names
ALTER TABLE pet ADD COLUMN name text;
