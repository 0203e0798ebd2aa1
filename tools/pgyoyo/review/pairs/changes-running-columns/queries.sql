SELECT * FROM running WHERE id = $1;
