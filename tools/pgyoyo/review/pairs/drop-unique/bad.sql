-- transactional: false
DROP INDEX CONCURRENTLY person_email_key;
