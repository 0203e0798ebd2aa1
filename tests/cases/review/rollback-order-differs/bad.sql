-- review: allow squawk:ban-drop-column: no client reads it
ALTER TABLE pet DROP COLUMN friend_id;

-- also: result-type-changes, squawk:ban-drop-column
