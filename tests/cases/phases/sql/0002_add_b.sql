-- Add b.
--
-- depends: 0001_make
-- phase: expand

ALTER TABLE t ADD COLUMN b int;
