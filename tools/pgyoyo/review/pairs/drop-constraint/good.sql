ALTER TABLE person DROP CONSTRAINT person_age_check, ADD CONSTRAINT person_age_check CHECK (age >= 0) NOT VALID;
