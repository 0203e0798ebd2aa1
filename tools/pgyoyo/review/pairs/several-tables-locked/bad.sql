ALTER TABLE person ALTER COLUMN age SET DEFAULT 0;
ALTER TABLE pet ALTER COLUMN name SET DEFAULT 'rex';

-- also: lock-held-to-the-end
