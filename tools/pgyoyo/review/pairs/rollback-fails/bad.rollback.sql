-- lossy: the toys
DROP TABLE toys;
