-- é
CREATE TABLE b (i int);
SELECT 'é', nope FROM b;
