-- depends: 0001_a
SELECT 1;
