LOCK TABLE pet IN ACCESS EXCLUSIVE MODE;
ALTER TABLE pet ALTER COLUMN name SET DEFAULT 'rex';

-- also: lock-held-to-the-end
