DROP TRIGGER pet_is_noted ON pet;
DROP FUNCTION note_pet();
