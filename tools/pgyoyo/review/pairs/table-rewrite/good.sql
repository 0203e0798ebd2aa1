ALTER TABLE person ADD COLUMN age_in_days bigint;
