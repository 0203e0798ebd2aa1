-- What a table may refuse of the rows that are written to it; the search_path is the session's. It runs on PostgreSQL 14 to 18.
-- System objects have OIDs below 16384 (FirstNormalObjectId, access/transam.h).

-- name: guards
WITH relation AS (
  SELECT c.oid, c.relkind, n.nspname, c.relname, c.reloptions, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound,
    coalesce(c.relacl, pg_catalog.acldefault('r', c.relowner)) AS acl, c.relrowsecurity,
    coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner)) AS schema_acl
  FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
  WHERE c.oid OPERATOR(pg_catalog.>=) 16384 AND c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p', 'v', 'f']::pg_catalog."char"[])
    AND n.nspname OPERATOR(pg_catalog.!~) '^pg_'
    AND c.relname OPERATOR(pg_catalog.!~) '^(_pgyoyo_.*|_yoyo_(migration|log|version).*|yoyo_lock.*)$'
), attribute AS (
  SELECT a.*, pg_catalog.quote_ident(a.attname) AS quoted, pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS expression
  FROM pg_catalog.pg_attribute AS a
  LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid OPERATOR(pg_catalog.=) a.attrelid AND d.adnum OPERATOR(pg_catalog.=) a.attnum
  WHERE a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
    AND a.attrelid OPERATOR(pg_catalog.=) ANY (SELECT oid FROM relation)
), granted AS (
  -- Who but the role that looks may do what with a relation, one of its columns, or, as USAGE, with its schema.
  SELECT g.oid, coalesce(a.rolname::pg_catalog.text, 'PUBLIC') AS role, g.privilege_type, g.attname
  FROM (
    SELECT r.oid, i.grantee, i.privilege_type, ''::pg_catalog.name AS attname FROM relation AS r, pg_catalog.aclexplode(r.acl) AS i
    UNION ALL
    SELECT t.attrelid, i.grantee, i.privilege_type, t.attname FROM attribute AS t, pg_catalog.aclexplode(t.attacl) AS i
    UNION ALL
    SELECT r.oid, i.grantee, i.privilege_type, '' FROM relation AS r, pg_catalog.aclexplode(r.schema_acl) AS i
    WHERE i.privilege_type OPERATOR(pg_catalog.=) 'USAGE'
  ) AS g LEFT JOIN pg_catalog.pg_roles AS a ON a.oid OPERATOR(pg_catalog.=) g.grantee
  WHERE g.grantee OPERATOR(pg_catalog.=) 0
    OR (a.rolname OPERATOR(pg_catalog.<>) current_user AND a.rolname OPERATOR(pg_catalog.<>) session_user)
), kind AS (
  -- The type of a column, and the domains above it: each with what it demands of a VALUE.
  WITH RECURSIVE chain AS (
    SELECT DISTINCT atttypid AS type, atttypmod AS own, atttypid AS below, atttypmod AS modifier, false AS is_domain FROM attribute
    UNION ALL
    SELECT chain.type, chain.own, t.typbasetype, CASE WHEN chain.modifier OPERATOR(pg_catalog.=) -1 THEN t.typtypmod ELSE chain.modifier END, true
    FROM chain JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) chain.below
    WHERE t.typtype OPERATOR(pg_catalog.=) 'd'
  )
  SELECT chain.type, chain.own, chain.modifier, chain.below, t.typtype, t.typnotnull, t.typdefault
  FROM chain JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) chain.below
), demand AS (
  SELECT kind.type, pg_catalog.pg_get_expr(k.conbin, 0) AS text, pg_catalog.concat('domain ', pg_catalog.format_type(kind.below, NULL)) AS name
  FROM kind JOIN pg_catalog.pg_constraint AS k ON k.contypid OPERATOR(pg_catalog.=) kind.below AND k.contype OPERATOR(pg_catalog.=) 'c'
  UNION
  SELECT kind.type, 'VALUE IS NOT NULL', 'NOT NULL' FROM kind WHERE kind.typnotnull
)
SELECT pg_catalog.jsonb_build_object(
  'tables', (
    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'oid', r.oid::pg_catalog.int8, 'kind', r.relkind, 'name', r.oid::pg_catalog.regclass::pg_catalog.text,
      'qualified', pg_catalog.concat(pg_catalog.quote_ident(r.nspname), '.', pg_catalog.quote_ident(r.relname)),
      'checked', EXISTS (
        SELECT FROM pg_catalog.unnest(r.reloptions) AS option WHERE option OPERATOR(pg_catalog.~) '^check_option='),
      'definition', CASE WHEN r.relkind OPERATOR(pg_catalog.=) 'v' THEN pg_catalog.pg_get_viewdef(r.oid) END,
      'parents', (
        SELECT pg_catalog.jsonb_agg(h.inhparent::pg_catalog.int8) FROM pg_catalog.pg_inherits AS h
        WHERE h.inhrelid OPERATOR(pg_catalog.=) r.oid AND NOT (pg_catalog.to_jsonb(h) OPERATOR(pg_catalog.->>) 'inhdetachpending')::pg_catalog.bool),
      'bound', r.bound, 'secured', r.relrowsecurity,
      'rights', (
        SELECT pg_catalog.jsonb_agg(DISTINCT pg_catalog.jsonb_build_array(g.role, g.privilege_type, g.attname)) FROM granted AS g
        WHERE g.oid OPERATOR(pg_catalog.=) r.oid),
      'policies', (
        SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(
          p.polname, p.polcmd, p.polpermissive, 0::pg_catalog.oid OPERATOR(pg_catalog.=) ANY (p.polroles), p.polroles::pg_catalog.text,
          pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)))
        FROM pg_catalog.pg_policy AS p WHERE p.polrelid OPERATOR(pg_catalog.=) r.oid),
      'columns', (
        SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
          'number', a.attnum, 'name', a.attname,
          'type', pg_catalog.format_type((
            SELECT kind.below FROM kind WHERE kind.type OPERATOR(pg_catalog.=) a.atttypid AND kind.typtype OPERATOR(pg_catalog.<>) 'd' LIMIT 1), -1),  -- bpchar, not character, which is character(1)
          'limits', pg_catalog.format_type((
            SELECT kind.below FROM kind WHERE kind.type OPERATOR(pg_catalog.=) a.atttypid AND kind.own OPERATOR(pg_catalog.=) a.atttypmod
              AND kind.typtype OPERATOR(pg_catalog.<>) 'd' LIMIT 1), (
            SELECT kind.modifier FROM kind WHERE kind.type OPERATOR(pg_catalog.=) a.atttypid AND kind.own OPERATOR(pg_catalog.=) a.atttypmod
              AND kind.typtype OPERATOR(pg_catalog.<>) 'd' LIMIT 1)),
          'required', a.attnotnull, 'computed', a.attgenerated OPERATOR(pg_catalog.<>) '', 'counted', a.attidentity OPERATOR(pg_catalog.<>) '',
          'value', coalesce(a.expression, (
            SELECT pg_catalog.min(kind.typdefault) FROM kind
            WHERE kind.type OPERATOR(pg_catalog.=) a.atttypid AND kind.below OPERATOR(pg_catalog.=) a.atttypid)),
          'demands', (
            SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(demand.name, demand.text)) FROM demand
            WHERE demand.type OPERATOR(pg_catalog.=) a.atttypid)
        ) ORDER BY a.attnum)
        FROM attribute AS a WHERE a.attrelid OPERATOR(pg_catalog.=) r.oid)
    )) FROM relation AS r),
  'checks', (
    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'oid', k.oid::pg_catalog.int8, 'table', k.conrelid::pg_catalog.int8, 'name', k.conname,
      'text', pg_catalog.pg_get_expr(k.conbin, k.conrelid), 'columns', k.conkey))
    FROM pg_catalog.pg_constraint AS k
    WHERE k.contype OPERATOR(pg_catalog.=) 'c' AND k.conrelid OPERATOR(pg_catalog.=) ANY (SELECT oid FROM relation)
      AND coalesce(pg_catalog.to_jsonb(k) OPERATOR(pg_catalog.->>) 'conenforced', '') OPERATOR(pg_catalog.<>) 'false'),
  'keys', (
    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'oid', i.indexrelid::pg_catalog.int8, 'table', i.indrelid::pg_catalog.int8, 'name', c.relname, 'unique', i.indisunique,
      'keys', (
        SELECT pg_catalog.jsonb_agg(pg_catalog.concat_ws(' ', pg_catalog.pg_get_indexdef(i.indexrelid, k::pg_catalog.int4, false), i.indclass[k OPERATOR(pg_catalog.-) 1], i.indcollation[k OPERATOR(pg_catalog.-) 1]))
        FROM pg_catalog.generate_series(1, i.indnkeyatts) AS k),
      'text', CASE WHEN i.indisexclusion THEN pg_catalog.pg_get_constraintdef(x.oid) ELSE '' END,
      'where', pg_catalog.pg_get_expr(i.indpred, i.indrelid),
      'nulls_equal', coalesce((pg_catalog.to_jsonb(i) OPERATOR(pg_catalog.->>) 'indnullsnotdistinct')::pg_catalog.bool, false),
      'deferred', coalesce(x.condeferred, false),
      'columns', (
        -- The columns within expressions are in pg_depend only; those that are only included are not compared.
        SELECT pg_catalog.jsonb_agg(DISTINCT number) FROM (
          SELECT i.indkey[k OPERATOR(pg_catalog.-) 1] AS number FROM pg_catalog.generate_series(1, i.indnkeyatts) AS k
          UNION ALL
          SELECT d.refobjsubid::pg_catalog.int2 FROM pg_catalog.pg_depend AS d
          WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) i.indexrelid
            AND d.refobjid OPERATOR(pg_catalog.=) i.indrelid
            AND NOT d.refobjsubid::pg_catalog.int2 OPERATOR(pg_catalog.=) ANY (i.indkey::pg_catalog.int2[])
        ) AS used WHERE number OPERATOR(pg_catalog.>) 0)))
    FROM pg_catalog.pg_index AS i
    JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
    LEFT JOIN pg_catalog.pg_constraint AS x ON x.conindid OPERATOR(pg_catalog.=) i.indexrelid
      AND x.contype OPERATOR(pg_catalog.=) ANY (ARRAY['p', 'u', 'x']::pg_catalog."char"[])
    WHERE (i.indisunique OR i.indisexclusion) AND i.indisready AND i.indrelid OPERATOR(pg_catalog.=) ANY (SELECT oid FROM relation)),
  'links', (
    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'oid', k.oid::pg_catalog.int8, 'table', k.conrelid::pg_catalog.int8, 'name', k.conname, 'columns', k.conkey,
      'target', k.confrelid::pg_catalog.int8, 'targets', k.confkey, 'deferred', k.condeferred,
      'on_delete', k.confdeltype, 'on_update', k.confupdtype, 'of_partition', k.conparentid OPERATOR(pg_catalog.<>) 0))
    FROM pg_catalog.pg_constraint AS k
    WHERE k.contype OPERATOR(pg_catalog.=) 'f' AND k.conrelid OPERATOR(pg_catalog.=) ANY (SELECT oid FROM relation)
      AND coalesce(pg_catalog.to_jsonb(k) OPERATOR(pg_catalog.->>) 'conenforced', '') OPERATOR(pg_catalog.<>) 'false'),
  'triggers', (
    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'oid', g.oid::pg_catalog.int8, 'table', g.tgrelid::pg_catalog.int8, 'name', g.tgname, 'type', g.tgtype, 'columns', g.tgattr::pg_catalog.int2[],
      'condition', pg_catalog.substring(pg_catalog.pg_get_triggerdef(g.oid), ' WHEN \((.*)\) EXECUTE '),
      'function', g.tgfoid::pg_catalog.regprocedure::pg_catalog.text, 'language', l.lanname, 'body', p.prosrc,
      'definition', pg_catalog.pg_get_functiondef(p.oid)))
    FROM pg_catalog.pg_trigger AS g
    JOIN pg_catalog.pg_proc AS p ON p.oid OPERATOR(pg_catalog.=) g.tgfoid
    JOIN pg_catalog.pg_language AS l ON l.oid OPERATOR(pg_catalog.=) p.prolang
    WHERE NOT g.tgisinternal AND g.tgenabled OPERATOR(pg_catalog.=) ANY (ARRAY['O', 'A']::pg_catalog."char"[])
      AND g.tgrelid OPERATOR(pg_catalog.=) ANY (SELECT oid FROM relation)),
  'rules', (
    SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
      'table', w.ev_class::pg_catalog.int8, 'text', pg_catalog.pg_get_ruledef(w.oid)))
    FROM pg_catalog.pg_rewrite AS w
    WHERE w.rulename OPERATOR(pg_catalog.<>) '_RETURN' AND w.ev_enabled OPERATOR(pg_catalog.=) ANY (ARRAY['O', 'A']::pg_catalog."char"[])
      AND w.ev_class OPERATOR(pg_catalog.=) ANY (SELECT oid FROM relation)))
