DO $$
DECLARE
  tenant name;
BEGIN
  FOR tenant IN SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tenant\_%' LOOP
    EXECUTE format('ALTER TABLE %I.orders ALTER total TYPE bigint', tenant);
  END LOOP;
END
$$;
