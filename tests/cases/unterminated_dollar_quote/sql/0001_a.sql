CREATE TABLE a (i int);
SELECT $$ x;
