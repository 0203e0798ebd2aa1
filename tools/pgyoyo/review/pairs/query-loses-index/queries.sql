SELECT id, name FROM person WHERE age = $1;
