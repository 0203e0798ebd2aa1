UPDATE person SET mood = 'merry' WHERE id = 1;
