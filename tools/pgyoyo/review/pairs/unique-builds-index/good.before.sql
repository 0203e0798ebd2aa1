-- transactional: false
CREATE UNIQUE INDEX CONCURRENTLY person_email_key ON person (email);
