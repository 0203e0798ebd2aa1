-- review: allow truncate: nobody reads it
DELETE FROM person WHERE id = 7;
