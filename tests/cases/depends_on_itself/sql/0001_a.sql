-- depends: 0001_a
-- A table.

CREATE TABLE a (i integer);
