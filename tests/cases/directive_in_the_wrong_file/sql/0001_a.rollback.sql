-- depends: 0001_a
DROP TABLE a;
