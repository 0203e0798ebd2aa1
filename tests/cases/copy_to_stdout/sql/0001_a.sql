-- A table.

CREATE TABLE a (i integer);
COPY a TO STDOUT;
