DROP TRIGGER write ON pets;
