INSERT INTO person (id, name) VALUES (1, 'ann'), (2, 'ann');
