-- lossy: the time zone
ALTER TABLE t ALTER at TYPE timestamp;
