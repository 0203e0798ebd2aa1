CREATE TABLE collar (
  pet_id bigint REFERENCES pet
);

-- also: foreign-key-without-index
