UPDATE person SET age = ages.age FROM (VALUES (1, 30)) AS ages (id, age) WHERE ages.id = person.id;
DELETE FROM person WHERE id IS NULL AND age > 1;
