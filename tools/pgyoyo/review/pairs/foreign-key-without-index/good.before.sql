CREATE INDEX pet_friend_id_idx ON pet (friend_id);
