-- depends: 0001 0009 0002_bb,
SELECT 1;
