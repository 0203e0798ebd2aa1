CREATE TABLE collar (
  pet_id bigint REFERENCES pet
);
