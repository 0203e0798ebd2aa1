-- What stands in the place of ALTER ROLE … RENAME where the server has one of the two names for other databases too.

-- name: take_over
-- In this database alone, what belongs to the old name, or is granted to it, is the new one's from now on. The catalogs
-- themselves say which of their columns hold roles; to write to them takes a superuser. :like is true where the new name gets
-- the attributes, settings and memberships of the old one; :gone where the old one is then dropped, unless
-- another database has it by now.
DO $pgyoyo_take_over$
DECLARE
  path text := pg_catalog.current_setting('search_path');
  old_role oid;
  new_role oid;
  alike boolean;
  piece record;
BEGIN
  PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
  old_role := (SELECT oid FROM pg_authid WHERE rolname = :old);
  new_role := (SELECT oid FROM pg_authid WHERE rolname = :new);
  alike := :like OR new_role IS NULL;
  IF old_role IS NULL THEN
    RAISE undefined_object USING MESSAGE = format('role "%s" does not exist', :old);
  END IF;
  IF new_role IS NULL THEN
    EXECUTE format('CREATE ROLE %I', :new);
    new_role := (SELECT oid FROM pg_authid WHERE rolname = :new);
  END IF;
  IF alike THEN
    UPDATE pg_authid AS n SET (rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,
        rolbypassrls, rolconnlimit, rolpassword, rolvaliduntil)
      = (SELECT rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit,
           CASE WHEN rolpassword LIKE 'md5%' THEN NULL ELSE rolpassword END, rolvaliduntil
         FROM pg_authid WHERE oid = old_role)
    WHERE n.oid = new_role;
    DELETE FROM pg_db_role_setting WHERE setrole = new_role AND setdatabase = 0;
    INSERT INTO pg_db_role_setting (setdatabase, setrole, setconfig)
      SELECT setdatabase, new_role, setconfig FROM pg_db_role_setting WHERE setrole = old_role AND setdatabase = 0;
    FOR piece IN
      SELECT format('GRANT %I TO %I%s', g.rolname, m.rolname, CASE WHEN a.admin_option THEN ' WITH ADMIN OPTION' END) AS text
      FROM pg_auth_members AS a
      JOIN pg_authid AS g ON g.oid = CASE WHEN a.roleid = old_role THEN new_role ELSE a.roleid END
      JOIN pg_authid AS m ON m.oid = CASE WHEN a.member = old_role THEN new_role ELSE a.member END
      WHERE old_role IN (a.roleid, a.member) AND NOT starts_with(m.rolname, :templates)
    LOOP EXECUTE piece.text; END LOOP;
  END IF;
  FOR piece IN
    SELECT k.fktable::text AS catalog, quote_ident(k.fkcols[1]) AS field, k.is_array
    FROM pg_get_catalog_foreign_keys() AS k
    JOIN pg_class AS c ON c.oid = k.fktable AND NOT c.relisshared
    WHERE k.pktable = 'pg_authid'::regclass
  LOOP
    IF piece.is_array THEN
      EXECUTE format('UPDATE %s SET %s = array_replace(%2$s, $1, $2) WHERE $1 = ANY (%2$s)', piece.catalog, piece.field)
      USING old_role, new_role;
    ELSE
      EXECUTE format('UPDATE %s SET %s = $2 WHERE %2$s = $1', piece.catalog, piece.field) USING old_role, new_role;
    END IF;
  END LOOP;
  FOR piece IN
    SELECT c.oid::regclass::text AS catalog, quote_ident(a.attname) AS field
    FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
    WHERE a.atttypid = 'aclitem[]'::regtype AND c.relkind = 'r' AND NOT c.relisshared
      AND c.relnamespace = 'pg_catalog'::regnamespace
  LOOP
    EXECUTE format('UPDATE %s SET %s = ARRAY(SELECT makeaclitem(CASE i.grantee WHEN $1 THEN $2 ELSE i.grantee END,
        CASE i.grantor WHEN $1 THEN $2 ELSE i.grantor END, i.privilege_type, i.is_grantable) FROM aclexplode(%2$s) AS i)
      WHERE EXISTS (SELECT FROM aclexplode(%2$s) AS i WHERE $1 IN (i.grantee, i.grantor))', piece.catalog, piece.field)
    USING old_role, new_role;
  END LOOP;
  UPDATE pg_shdepend SET refobjid = new_role
  WHERE refclassid = 'pg_authid'::regclass AND refobjid = old_role
    AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database());
  UPDATE pg_class AS c SET relname = c.relname FROM pg_policy AS p
  WHERE p.polrelid = c.oid AND new_role = ANY (p.polroles);
  PERFORM pg_catalog.set_config('search_path', path, true);
  IF :gone THEN
    BEGIN
      EXECUTE pg_catalog.format('DROP ROLE %I', :old);
    EXCEPTION WHEN dependent_objects_still_exist THEN
      NULL;
    END;
  END IF;
END $pgyoyo_take_over$;
