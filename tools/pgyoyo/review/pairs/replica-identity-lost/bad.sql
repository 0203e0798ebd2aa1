ALTER TABLE person DROP CONSTRAINT person_pkey CASCADE;

-- also: drop-cascades, locks-other-table
