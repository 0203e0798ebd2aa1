ALTER TABLE person DROP CONSTRAINT person_age_check;
