ALTER TABLE person VALIDATE CONSTRAINT person_age_check;
