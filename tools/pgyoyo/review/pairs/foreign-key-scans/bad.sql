ALTER TABLE pet ADD CONSTRAINT pet_friend_id_fkey FOREIGN KEY (friend_id) REFERENCES person;

-- also: foreign-key-without-index, foreign-key-locks-both
