-- depends: 0001_a
CREATE TABLE b (i int);
