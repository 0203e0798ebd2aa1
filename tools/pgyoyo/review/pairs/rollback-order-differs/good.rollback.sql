-- lossy: the friends, and the place of their column
ALTER TABLE pet ADD COLUMN friend_id bigint;
