-- lossy: the toys
DROP TABLE toy;
