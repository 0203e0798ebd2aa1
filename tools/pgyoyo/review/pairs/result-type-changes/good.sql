CREATE TABLE weight_of_pet (
  pet_id bigint PRIMARY KEY,
  weight integer NOT NULL
);
