-- transactional: false
CREATE UNIQUE INDEX CONCURRENTLY person_name_key ON person (name);

-- also: statement-fails
