-- transactional: false
CREATE INDEX CONCURRENTLY pet_name_idx ON pet (name);
