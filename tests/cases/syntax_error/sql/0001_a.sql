CREATE TABLE a (i int);
CREATE TABEL b (i int);
