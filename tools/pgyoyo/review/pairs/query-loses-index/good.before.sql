CREATE INDEX person_age_name_idx ON person (age, name);
