ALTER TABLE pet ADD CONSTRAINT pet_friend_id_check CHECK (friend_id < 2147483648) NOT VALID;
