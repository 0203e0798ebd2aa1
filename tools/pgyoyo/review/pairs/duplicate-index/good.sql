-- transactional: false
CREATE INDEX CONCURRENTLY person_born_idx ON person (born);
