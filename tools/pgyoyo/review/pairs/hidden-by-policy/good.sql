SET LOCAL row_security = off;
UPDATE person SET name = 'Al' WHERE id = 1;
