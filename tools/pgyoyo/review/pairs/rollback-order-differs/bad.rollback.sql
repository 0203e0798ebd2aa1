-- lossy: the friends
ALTER TABLE pet ADD COLUMN friend_id bigint;
