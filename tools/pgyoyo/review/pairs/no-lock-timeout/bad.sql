-- lock-timeout: 1min
ALTER TABLE pet ALTER COLUMN name SET DEFAULT 'rex';
