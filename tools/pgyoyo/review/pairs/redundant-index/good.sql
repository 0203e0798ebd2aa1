-- transactional: false
CREATE INDEX CONCURRENTLY person_born_age_idx ON person (born, age);
