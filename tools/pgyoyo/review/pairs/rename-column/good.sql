ALTER TABLE person ADD COLUMN called text;
