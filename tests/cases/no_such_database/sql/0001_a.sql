-- A table.

CREATE TABLE a (i integer);
