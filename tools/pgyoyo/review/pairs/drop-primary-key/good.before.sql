CREATE UNIQUE INDEX pet_new_idx ON pet (id);
