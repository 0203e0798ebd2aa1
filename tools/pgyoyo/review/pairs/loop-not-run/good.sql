DO $$
DECLARE
  each name;
BEGIN
  FOR each IN SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname IN ('pet', 'club') LOOP
    EXECUTE format('COMMENT ON TABLE %I IS %L', each, 'in use');
  END LOOP;
END
$$;
