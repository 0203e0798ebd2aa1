-- review: allow drop-column: no client reads it
ALTER TABLE pet DROP COLUMN name;
