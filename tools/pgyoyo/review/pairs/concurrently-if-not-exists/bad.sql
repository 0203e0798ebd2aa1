-- transactional: false
CREATE INDEX CONCURRENTLY IF NOT EXISTS pet_name_idx ON pet (name);
