-- lossy: the toys and the boxes
DROP TABLE box;
DROP TABLE toy;
