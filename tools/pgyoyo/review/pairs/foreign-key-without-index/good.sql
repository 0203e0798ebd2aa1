ALTER TABLE pet ADD CONSTRAINT pet_friend_id_fkey FOREIGN KEY (friend_id) REFERENCES person NOT VALID;
