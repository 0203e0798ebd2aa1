ALTER TABLE pets ADD COLUMN weight integer;
