-- depends: 0003_c
-- A table.

CREATE TABLE a (i integer);
