ALTER TABLE person ADD CONSTRAINT person_age_is_known CHECK (age IS NOT NULL) NOT VALID;
ALTER TABLE person VALIDATE CONSTRAINT person_age_is_known;
