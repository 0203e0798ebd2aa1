ALTER TABLE person ADD CONSTRAINT person_age_check CHECK (age > 0) NOT VALID;
ALTER TABLE person VALIDATE CONSTRAINT person_age_check;

-- also: lock-held-to-the-end
