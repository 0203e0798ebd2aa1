CREATE TEMPORARY TABLE ages (id bigint, age integer) ON COMMIT DROP;
INSERT INTO ages VALUES (1, 30);
UPDATE person SET age = ages.age FROM ages WHERE ages.id = person.id;
