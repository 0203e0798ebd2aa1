-- also: drop-constraint
ALTER TABLE pet DROP CONSTRAINT pet_owner_id_fkey;
