-- depends: 0001_t 0002_t
SELECT 1;
