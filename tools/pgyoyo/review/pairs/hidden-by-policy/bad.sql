UPDATE person SET name = 'Al' WHERE id = 1;
