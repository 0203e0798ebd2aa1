-- depends: 0001_a, 0002_b
SELECT 1;
