-- lossy: all values
ALTER TABLE t ADD at timestamptz;
