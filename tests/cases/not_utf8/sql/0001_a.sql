-- café
CREATE TABLE a (i int);
