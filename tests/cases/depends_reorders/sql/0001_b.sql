-- depends: 0002_a
CREATE TABLE b AS SELECT * FROM a;
