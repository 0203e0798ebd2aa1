CREATE TABLE a (i int);
/* open
