ALTER TABLE person ADD COLUMN born_at timestamptz;
