DELETE FROM person WHERE id = 7;
