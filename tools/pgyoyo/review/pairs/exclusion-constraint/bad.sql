ALTER TABLE pet ADD CONSTRAINT pet_name_excl EXCLUDE (name WITH =);
