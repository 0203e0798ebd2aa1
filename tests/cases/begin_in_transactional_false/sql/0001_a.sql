-- transactional: false
BEGIN;
CREATE TABLE a (i int);
COMMIT;
