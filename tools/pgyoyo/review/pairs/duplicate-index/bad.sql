-- transactional: false
CREATE INDEX CONCURRENTLY person_age_again_idx ON person (age);
