-- transactional: false
-- transactional: false
-- A table.

CREATE TABLE a (i integer);
