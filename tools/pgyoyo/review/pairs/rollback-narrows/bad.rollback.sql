ALTER TABLE person ALTER COLUMN age TYPE integer;
