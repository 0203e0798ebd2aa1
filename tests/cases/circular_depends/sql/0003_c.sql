-- depends: 0002_b
SELECT 1;
