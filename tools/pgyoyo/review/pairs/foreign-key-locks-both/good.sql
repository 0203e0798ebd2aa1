CREATE TABLE collar (
  pet_id bigint
);
