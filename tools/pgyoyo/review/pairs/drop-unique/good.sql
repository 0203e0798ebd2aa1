-- transactional: false
CREATE UNIQUE INDEX CONCURRENTLY person_email_idx ON person (email) INCLUDE (name);
DROP INDEX CONCURRENTLY person_email_key;
