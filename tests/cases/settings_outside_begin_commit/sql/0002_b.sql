SET search_path = public;
BEGIN;
CREATE TABLE b (i integer);
COMMIT;
SELECT 1/0;
