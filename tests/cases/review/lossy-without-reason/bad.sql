-- review: allow squawk:ban-drop-column: no client reads it
ALTER TABLE pet DROP COLUMN name;

-- also: result-type-changes, squawk:ban-drop-column
