CREATE OR REPLACE TRIGGER pet_is_noted AFTER UPDATE ON pet FOR EACH ROW
  WHEN (current_setting('app.load', true) IS DISTINCT FROM 'on') EXECUTE FUNCTION note_pet();
