-- Add c.
--
-- depends: 0002_add_b
-- phase: expand

ALTER TABLE t ADD COLUMN c int;
