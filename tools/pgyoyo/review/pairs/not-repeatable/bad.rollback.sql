-- lossy: the toys
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT relname FROM pg_class WHERE relname LIKE 'toy_of_%' LOOP
    EXECUTE format('DROP TABLE %I', name);
  END LOOP;
END $$;
