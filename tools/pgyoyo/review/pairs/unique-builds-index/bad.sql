ALTER TABLE person ADD CONSTRAINT person_email_key UNIQUE (email);
