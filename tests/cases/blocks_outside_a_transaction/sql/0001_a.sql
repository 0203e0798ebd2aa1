-- transactional: false
BEGIN;
CREATE TABLE a (i int, x bigint);
INSERT INTO a VALUES (1, txid_current());
COPY a (i) FROM stdin;
2
3
\.
UPDATE a SET x = txid_current();
COMMIT;

CREATE INDEX CONCURRENTLY ai ON a (i);

START TRANSACTION ISOLATION LEVEL SERIALIZABLE;
SAVEPOINT s;
INSERT INTO a SELECT 9, 0 WHERE current_setting('transaction_isolation') = 'serializable';
RELEASE SAVEPOINT s;
SET search_path = pg_catalog, public;
END;
INSERT INTO a VALUES (10, 0);
BEGIN; COMMIT;
