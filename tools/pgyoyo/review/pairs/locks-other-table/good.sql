ALTER TABLE pet ADD CONSTRAINT pet_name_check CHECK (name <> '') NOT VALID;
