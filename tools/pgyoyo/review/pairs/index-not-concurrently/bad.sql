CREATE INDEX pet_name_idx ON pet (name);
