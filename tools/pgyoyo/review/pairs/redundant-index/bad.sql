-- transactional: false
CREATE INDEX CONCURRENTLY person_age_born_idx ON person (age, born);
