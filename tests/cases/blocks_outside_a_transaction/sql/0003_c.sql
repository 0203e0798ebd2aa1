-- transactional: false
BEGIN;
CREATE INDEX CONCURRENTLY ai2 ON a (i);
COMMIT;
