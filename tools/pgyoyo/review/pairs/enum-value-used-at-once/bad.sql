ALTER TYPE mood ADD VALUE 'merry';
UPDATE person SET mood = 'merry' WHERE id = 1;
