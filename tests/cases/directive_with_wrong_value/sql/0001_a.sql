-- transactional: no
-- lock-timeout: soon
-- A table.

CREATE TABLE a (i integer);
