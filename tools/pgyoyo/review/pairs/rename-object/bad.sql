ALTER FUNCTION note_pet() RENAME TO write_pet;
