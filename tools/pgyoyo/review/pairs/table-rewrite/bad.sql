-- A block says nothing of what is in it.
DO $$ BEGIN
  ALTER TABLE person ALTER COLUMN age TYPE bigint;
END $$;

-- also: result-type-changes
