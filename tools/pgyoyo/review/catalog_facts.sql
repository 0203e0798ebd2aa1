-- What the rules ask of the catalog before and after a migration; the search_path is pg_catalog. It runs on PostgreSQL 14 to 18.
-- System objects have OIDs below 16384 (FirstNormalObjectId, access/transam.h).

-- name: facts
WITH relation AS (
  SELECT c.*, concat(quote_ident(n.nspname), '.', quote_ident(c.relname)) AS name
  FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.oid >= 16384 AND n.nspname !~ '^pg_'
    AND c.relname !~ '^(_pgyoyo_.*|_yoyo_(migration|log|version).*|yoyo_lock.*)$'
), published AS (
  SELECT DISTINCT t.schemaname, t.tablename
  FROM pg_publication_tables AS t
  JOIN pg_publication AS p ON p.pubname = t.pubname
  WHERE p.pubupdate OR p.pubdelete
), policy AS (
  -- Roles and expressions as the server writes them; of a command for ALL there is one row.
  SELECT p.polrelid AS table, p.polname AS name, p.polpermissive AS permissive, p.polcmd AS command, (
      SELECT jsonb_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(role)::text END ORDER BY role) FROM unnest(p.polroles) AS role
    ) AS roles, pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS checks
  FROM pg_policy AS p
)
SELECT jsonb_build_object(
  'tables', (
    SELECT jsonb_agg(jsonb_build_object(
      'oid', r.oid::bigint, 'name', r.name, 'kind', r.relkind, 'partition', r.relispartition,
      'has_default', EXISTS (SELECT FROM pg_partitioned_table AS p WHERE p.partrelid = r.oid AND p.partdefid <> 0),
      'secured', r.relrowsecurity, 'forced', r.relforcerowsecurity,
      'policies', (SELECT jsonb_agg(to_jsonb(p) - 'table' ORDER BY p.name) FROM policy AS p WHERE p.table = r.oid),
      'writable', CASE r.relkind WHEN 'v' THEN pg_relation_is_updatable(r.oid, true) ELSE 0 END,
      'published', r.relkind = 'r' AND (n.nspname, r.relname) = ANY (SELECT schemaname, tablename FROM published),
      'key', (SELECT to_jsonb(i.indkey::smallint[]) FROM pg_index AS i WHERE i.indrelid = r.oid AND i.indisprimary),
      'identified', CASE r.relreplident
        WHEN 'f' THEN true
        WHEN 'n' THEN false
        ELSE EXISTS (
          SELECT FROM pg_index AS i
          WHERE i.indrelid = r.oid AND i.indisvalid
            AND CASE r.relreplident WHEN 'd' THEN i.indisprimary ELSE i.indisreplident END
        )
      END,
      'columns', (
        SELECT jsonb_object_agg(a.attnum, jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod),
          a.attidentity <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid) LIKE 'nextval(%', false), y.typtype = 'd',
          a.attnotnull,
          d.oid IS NOT NULL OR a.attidentity <> '' OR y.typdefault IS NOT NULL))
        FROM pg_attribute AS a
        -- Looked up for each, behind a fence: all types would be read for each table.
        CROSS JOIN LATERAL (SELECT typtype, typdefault FROM pg_type WHERE oid = a.atttypid OFFSET 0) AS y
        LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
        WHERE a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
      )
    ))
    FROM relation AS r
    JOIN pg_namespace AS n ON n.oid = r.relnamespace
    WHERE r.relkind = ANY (ARRAY['r', 'p', 'f', 'm', 'v']::"char"[])
  ),
  'indexes', (
    SELECT jsonb_agg(jsonb_build_object(
      'oid', i.indexrelid::bigint, 'name', x.name, 'table', i.indrelid::bigint, 'unique', i.indisunique, 'primary', i.indisprimary, 'valid', i.indisvalid,
      'constraint', EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = i.indexrelid AND k.contype = ANY (ARRAY['p', 'u', 'x']::"char"[])),
      'method', m.amname, 'where', pg_get_expr(i.indpred, i.indrelid),
      'keys', (
        SELECT jsonb_agg(concat_ws(' ', pg_get_indexdef(i.indexrelid, k::integer, false), i.indclass[k - 1], i.indcollation[k - 1], i.indoption[k - 1]) ORDER BY k)
        FROM generate_series(1, i.indnkeyatts) AS k
      ),
      'include', i.indnatts - i.indnkeyatts
    ))
    FROM pg_index AS i
    JOIN relation AS x ON x.oid = i.indexrelid
    JOIN pg_am AS m ON m.oid = x.relam
    WHERE NOT x.relispartition
  ),
  'foreign_keys', (
    SELECT jsonb_agg(jsonb_build_object(
      'oid', k.oid::bigint, 'name', k.conname, 'table', k.conrelid::bigint, 'references', k.confrelid::bigint,
      'columns', (SELECT jsonb_agg(a.attname) FROM pg_attribute AS a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)),
      'targets', k.confkey,
      'indexed', EXISTS (
        SELECT FROM pg_index AS i
        WHERE i.indrelid = k.conrelid AND i.indpred IS NULL
          -- All columns of the key come first, or those of a unique index are among them: it finds one row.
          AND ((i.indkey::smallint[])[0:cardinality(k.conkey) - 1] @> k.conkey
            OR i.indisunique AND k.conkey @> (i.indkey::smallint[])[0:i.indnkeyatts - 1])
      )
    ))
    FROM pg_constraint AS k
    WHERE k.contype = 'f' AND k.conparentid = 0 AND k.oid >= 16384
  ),
  'disabled', (
    SELECT jsonb_agg(jsonb_build_array(r.oid::bigint, t.name))
    FROM relation AS r
    CROSS JOIN LATERAL (
      SELECT concat('trigger ', CASE WHEN g.tgisinternal THEN 'of a foreign key' ELSE g.tgname::text END) AS name FROM pg_trigger AS g WHERE g.tgrelid = r.oid AND g.tgenabled = 'D'
      UNION
      SELECT concat('rule ', w.rulename) FROM pg_rewrite AS w WHERE w.ev_class = r.oid AND w.ev_enabled = 'D'
    ) AS t
  ),
  'functions', (
    -- What stores the results of a function; functions that others call count too, by their dependencies, or by a body's text.
    WITH RECURSIVE used AS (
      SELECT d.refobjid AS function, concat(
          CASE WHEN d.classid = 'pg_class'::regclass AND d.objsubid = 0 AND d.objid IN (SELECT partrelid FROM pg_partitioned_table)
            THEN 'the partition key of ' END, pg_describe_object(d.classid, d.objid, d.objsubid)) AS by
      FROM pg_depend AS d
      WHERE d.refclassid = 'pg_proc'::regclass AND d.refobjid >= 16384
        AND (d.classid = 'pg_class'::regclass AND d.objid IN (SELECT indexrelid FROM pg_index UNION ALL SELECT partrelid FROM pg_partitioned_table)
            AND (d.objsubid = 0 OR NOT d.objid IN (SELECT partrelid FROM pg_partitioned_table))
          OR d.classid = 'pg_constraint'::regclass
          -- Before PostgreSQL 15 the column itself depends on it, not its pg_attrdef.
          OR d.classid = 'pg_class'::regclass AND EXISTS (
            SELECT FROM pg_attribute AS a WHERE a.attrelid = d.objid AND a.attnum = d.objsubid AND a.attgenerated = 's'
          )
          OR d.classid = 'pg_attrdef'::regclass AND EXISTS (
            SELECT FROM pg_attrdef AS f
            JOIN pg_attribute AS a ON a.attrelid = f.adrelid AND a.attnum = f.adnum
            WHERE f.oid = d.objid AND a.attgenerated = 's'
          ))
      UNION
      SELECT f.oid, u.by
      FROM used AS u
      JOIN pg_proc AS c ON c.oid = u.function
      JOIN pg_proc AS f ON f.oid >= 16384 AND f.oid <> c.oid
      WHERE CASE
        WHEN c.prosqlbody IS NOT NULL THEN EXISTS (
          SELECT FROM pg_depend AS d
          WHERE d.classid = 'pg_proc'::regclass AND d.objid = c.oid AND d.refclassid = 'pg_proc'::regclass AND d.refobjid = f.oid
        )
        WHEN strpos(c.prosrc, f.proname) > 0 THEN c.prosrc ~ concat('\m', regexp_replace(f.proname, '\W', '\\\&', 'g'), '"?\s*[(]')
      END
    )
    SELECT jsonb_agg(jsonb_build_array(p.oid::bigint, p.proname, u.by, md5(concat(p.prosrc, p.prosqlbody, p.prolang, p.proconfig, p.provolatile))) ORDER BY u.by)
    FROM used AS u
    JOIN pg_proc AS p ON p.oid = u.function
  ),
  'bodies', (
    SELECT jsonb_agg(jsonb_build_array(p.oid::regprocedure, p.prosrc))
    FROM pg_proc AS p
    JOIN pg_namespace AS n ON n.oid = p.pronamespace
    JOIN pg_language AS l ON l.oid = p.prolang
    WHERE p.oid >= 16384 AND n.nspname !~ '^pg_' AND l.lanname <> ALL (ARRAY['c', 'internal'])
      AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = p.oid AND d.deptype = 'e')
  ),
  'timezone', (
    SELECT substr(setting, 10)
    FROM pg_db_role_setting AS s
    CROSS JOIN unnest(s.setconfig) AS setting
    WHERE s.setrole = 0 AND s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()) AND setting ILIKE 'timezone=%'
  ),
  -- What each publication sends of each table; column lists and row filters came with PostgreSQL 15.
  'publications', (
    SELECT jsonb_agg(jsonb_build_object(
      'oid', p.oid::bigint, 'name', p.pubname, 'root', p.pubviaroot,
      'events', array_remove(ARRAY[CASE WHEN p.pubinsert THEN 'INSERT' END, CASE WHEN p.pubupdate THEN 'UPDATE' END,
        CASE WHEN p.pubdelete THEN 'DELETE' END, CASE WHEN p.pubtruncate THEN 'TRUNCATE' END], NULL),
      'tables', (
        SELECT jsonb_object_agg(r.oid::bigint, jsonb_build_array(to_jsonb(t) -> 'attnames', to_jsonb(t) ->> 'rowfilter'))
        FROM pg_publication_tables AS t
        JOIN pg_namespace AS n ON n.nspname = t.schemaname
        JOIN relation AS r ON r.relnamespace = n.oid AND r.relname = t.tablename
        WHERE t.pubname = p.pubname
      )
    ))
    FROM pg_publication AS p
  ),
  -- Sequences, and the column that each belongs to or gives its default, if there is one.
  'sequences', (
    SELECT jsonb_agg(jsonb_build_object(
      'oid', r.oid::bigint, 'name', r.name, 'step', s.seqincrement, 'least', s.seqmin, 'most', s.seqmax, 'cycle', s.seqcycle,
      'feeds', f.columns
    ))
    FROM pg_sequence AS s
    JOIN relation AS r ON r.oid = s.seqrelid
    LEFT JOIN (
      SELECT f.sequence, jsonb_agg(jsonb_build_array(f.relid::bigint, f.attnum)) AS columns
      FROM (
        SELECT d.refobjid, a.adrelid, a.adnum FROM pg_depend AS d JOIN pg_attrdef AS a ON a.oid = d.objid
        WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
        UNION
        SELECT d.objid, d.refobjid, d.refobjsubid FROM pg_depend AS d
        WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
      ) AS f (sequence, relid, attnum)
      GROUP BY f.sequence
    ) AS f ON f.sequence = s.seqrelid
  )
)
