-- lossy: the values of a
ALTER TABLE t ADD COLUMN a int;
