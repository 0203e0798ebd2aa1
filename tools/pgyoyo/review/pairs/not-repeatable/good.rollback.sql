-- lossy: the toys
DROP TABLE toy_of_2026;
