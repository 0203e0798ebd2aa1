ALTER TABLE event ADD COLUMN place text;
