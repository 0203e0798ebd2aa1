ALTER TABLE pet SET (fillfactor = 90);
