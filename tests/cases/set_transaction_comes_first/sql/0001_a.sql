-- A.
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;
CREATE TABLE a AS SELECT current_setting('transaction_isolation') AS level;
