-- A.
BEGIN;
CREATE TABLE a (i int);
COMMIT;
-- the end
