-- transactional: false
BEGIN;
CREATE TABLE b (i int);
SELECT 1 / 0;
COMMIT;
