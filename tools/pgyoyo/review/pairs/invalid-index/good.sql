-- transactional: false
CREATE INDEX CONCURRENTLY person_name_idx ON person (name);
