-- depends: 0002_b
CREATE TABLE d (i int);
