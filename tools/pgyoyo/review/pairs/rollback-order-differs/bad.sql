-- review: allow drop-column: no client reads it
ALTER TABLE pet DROP COLUMN friend_id;

-- also: result-type-changes, drop-column
