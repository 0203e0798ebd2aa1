-- lossy: rows go
-- A table.

CREATE TABLE a (i integer);
