CREATE TABLE bill (number bigint);
SELECT setval('invoice', (SELECT greatest(max(number), nextval('invoice')) FROM bill));
