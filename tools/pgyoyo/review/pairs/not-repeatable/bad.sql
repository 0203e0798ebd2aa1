DO $$ BEGIN
  EXECUTE format('CREATE TABLE toy_of_%s (id bigint)', to_char(clock_timestamp(), 'YYYYMMDDHH24MISSUS'));
END $$;
