-- depends: 0001_user
CREATE TABLE b (i int);
