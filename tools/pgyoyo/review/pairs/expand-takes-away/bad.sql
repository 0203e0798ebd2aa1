-- phase: expand
-- also: lock-held-to-the-end

DROP TRIGGER pet_is_noted ON pet;
DROP FUNCTION note_pet();
