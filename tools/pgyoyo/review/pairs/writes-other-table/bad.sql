UPDATE pet SET name = 'max' WHERE id = 1;
