CREATE TABLE a (t text);
INSERT INTO a VALUES ('100% %s %(x)s :name {}'), ((5 % 3)::text);
