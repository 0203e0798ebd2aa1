ALTER TABLE person ADD CONSTRAINT person_email_key UNIQUE USING INDEX person_email_key;
