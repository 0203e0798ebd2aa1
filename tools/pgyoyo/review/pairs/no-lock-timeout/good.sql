-- lock-timeout: 200ms
ALTER TABLE pet ALTER COLUMN name SET DEFAULT 'rex';
