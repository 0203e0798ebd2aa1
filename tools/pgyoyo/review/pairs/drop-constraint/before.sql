ALTER TABLE person ADD CONSTRAINT person_age_check CHECK (age > 0);
