DROP FUNCTION note_pet() CASCADE;

-- also: locks-other-table
