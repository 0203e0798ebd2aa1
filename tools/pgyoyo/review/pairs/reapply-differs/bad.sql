-- What it makes depends on a row that the rollback leaves.
DO $$ BEGIN
  IF EXISTS (SELECT FROM audit WHERE pet_id = -1) THEN
    CREATE TABLE toy (id bigint);
  ELSE
    CREATE TABLE toy (id integer);
  END IF;
END $$;
INSERT INTO audit (pet_id) VALUES (-1);
