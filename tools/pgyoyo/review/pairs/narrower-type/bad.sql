ALTER TABLE pet ALTER COLUMN friend_id TYPE integer;

-- also: change-column-type, result-type-changes
