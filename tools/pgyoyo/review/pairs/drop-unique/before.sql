CREATE UNIQUE INDEX person_email_key ON person (email);
