CREATE TABLE name_of_pet (
  name text,
  CONSTRAINT name_of_pet_name_excl EXCLUDE (name WITH =)
);
