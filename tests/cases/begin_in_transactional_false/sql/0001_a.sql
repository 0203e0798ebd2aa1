-- transactional: false
BEGIN;
CREATE TABLE a (i int);
CREATE TABLE b (i int);
COMMIT;
ROLLBACK;
