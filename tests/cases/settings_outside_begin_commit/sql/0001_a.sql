-- As old dumps have it.
SET client_min_messages = warning;
SET search_path = public;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SET TRANSACTION DEFERRABLE;
CREATE TABLE a (i integer);
INSERT INTO a VALUES (1);
COMMIT;
ANALYZE a;
GRANT SELECT ON a TO PUBLIC;
