-- A schema "evil" that has, for everything of pg_catalog that SQL can name, something of the same name that counts calls and
-- fails: operators, functions, types, tables. A statement is safe under any search_path if none of them is touched while evil
-- stands in front. Some can't be made for types that only the server's own code may use; these nobody else can make either.
CREATE SCHEMA evil;
CREATE SEQUENCE evil.calls;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
GRANT ALL ON SEQUENCE evil.calls TO PUBLIC;
CREATE FUNCTION evil.call(what text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  -- No rollback takes this back.
  PERFORM pg_catalog.nextval('evil.calls'::pg_catalog.regclass);
  RAISE EXCEPTION USING MESSAGE = pg_catalog.concat('evil.', what, ' was called');
END $$;

DO $do$
DECLARE
  x record;
  body text;
  number integer := 0;
BEGIN
  PERFORM set_config('client_min_messages', 'error', true), set_config('check_function_bodies', 'off', true);
  -- Functions, and those of operators.
  FOR x IN
    SELECT p.proname, p.oid, replace(replace(pg_get_function_identity_arguments(p.oid), 'VARIADIC "any"', 'VARIADIC anyarray'), '"any"', 'anyelement') AS args, pg_get_function_result(p.oid) AS result, p.prokind
    FROM pg_proc AS p WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname = ANY (
      SELECT m[1] FROM regexp_matches(current_setting('test.words'), '\w+', 'g') AS m)
  LOOP
    body := format('BEGIN PERFORM evil.call(%L); END', x.proname);
    BEGIN
      IF x.prokind = 'a' THEN
        -- A call of an aggregate under its own name finds a function that is none, and fails.
        EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS text LANGUAGE plpgsql AS %L', x.proname, replace(x.args, 'ORDER BY', ','), body);
      ELSE
        EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS %L', x.proname, x.args, x.result, body);
      END IF;
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
  END LOOP;
  FOR x IN
    SELECT o.oprname AS name, nullif(o.oprleft, 0)::regtype::text AS l, nullif(o.oprright, 0)::regtype::text AS r, o.oprresult::regtype::text AS result
    FROM pg_operator AS o WHERE o.oprnamespace = 'pg_catalog'::regnamespace
    UNION
    SELECT name, types.l, types.r, CASE WHEN name = ANY ('{||,+,-}') THEN 'text' ELSE 'boolean' END
    FROM unnest('{=,<>,<,>,<=,>=,||,~,!~,+,-,~~}'::text[]) AS name,
      (VALUES ('varchar', 'varchar'), ('varchar', 'text'), ('text', 'varchar'), ('name', 'varchar'), ('varchar', 'name'),
        ('regclass', 'oid'), ('oid', 'regclass'), ('regclass', 'regclass'), ('integer', 'numeric'),
        ('timestamp', 'timestamptz'), ('anyelement', 'anyelement'), ('anyarray', 'anyelement'), ('anynonarray', 'text'),
        ('text', 'anynonarray')) AS types (l, r)
  LOOP
    body := format('BEGIN PERFORM evil.call(%L); END', x.name);
    BEGIN
      number := number + 1;
      EXECUTE format('CREATE FUNCTION evil.operator_%s(%s) RETURNS %s LANGUAGE plpgsql AS %L',
        number, concat_ws(', ', x.l, x.r), x.result, body);
      EXECUTE format('CREATE OPERATOR evil.%s (FUNCTION = evil.operator_%s%s)', x.name, number,
        concat(', LEFTARG = ' || x.l, ', RIGHTARG = ' || x.r));
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
  END LOOP;
  -- Types that are names, not words of the grammar.
  FOR x IN
    SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype = 'b' AND typcategory <> 'A'
      AND oid < 10000
  LOOP
    BEGIN
      EXECUTE format('CREATE DOMAIN evil.%I AS pg_catalog.%I CHECK (evil.call(%L))', x.typname, x.typname, x.typname);
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
  END LOOP;
  -- Tables and views.
  FOR x IN SELECT relname FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relkind IN ('r', 'v') LOOP
    BEGIN
      EXECUTE format('CREATE VIEW evil.%I AS SELECT * FROM pg_catalog.%I WHERE evil.call(%L)', x.relname, x.relname, x.relname);
    EXCEPTION WHEN OTHERS THEN NULL;
    END;
  END LOOP;
END $do$;
