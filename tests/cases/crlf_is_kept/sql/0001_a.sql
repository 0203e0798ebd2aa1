-- Text.
-- transactional: true

CREATE TABLE a (t text);
INSERT INTO a VALUES ('x
y');
