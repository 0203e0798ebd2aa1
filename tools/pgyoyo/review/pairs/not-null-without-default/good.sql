ALTER TABLE pet ADD COLUMN weight integer;
