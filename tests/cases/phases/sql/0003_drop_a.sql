-- Drop a.
--
-- depends: 0002_add_b
-- phase: contract

ALTER TABLE t DROP COLUMN a;
