UPDATE person SET age = ages.age FROM (VALUES (1, 30)) AS ages (id, age) WHERE ages.id = person.id;
