-- depends: 0001_a
CREATE TABLE c (i int);
