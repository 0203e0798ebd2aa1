ALTER TABLE person ADD COLUMN token uuid;
ALTER TABLE person ALTER COLUMN token SET DEFAULT gen_random_uuid();
