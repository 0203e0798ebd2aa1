\set ON_ERROR_STOP on
-- A table.

CREATE TABLE a (i integer);
