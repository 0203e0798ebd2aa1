-- name: tables
-- One row a table that can hold rows, in any order: what is to be known to fill it and to tell its rows apart. Partitions are
-- left out, and so are members of extensions, the tables of yoyo (_yoyo_*, yoyo_lock) and ours (_pgyoyo_*).
--   key         columns of the primary key
--   columns     those that an INSERT gives a value; generated ones are the server's, and so are identity and serial ones, but for
--               those that point to another table
--   rules       constraints and unique indexes by name, with their columns and text; the bounds of partitions have no name
--   links       foreign keys: columns, the table they point to, and its columns
--   plain       no trigger or rule of the table itself, or of a partition, makes or refuses values
-- With %(oids)s, only of those.
WITH tab AS (
  SELECT c.oid, c.relkind, format('%%I.%%I', n.nspname, c.relname) AS name
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
    AND (%(oids)s::oid[] IS NULL OR c.oid = ANY (%(oids)s::oid[]))
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND c.relname NOT IN ('_yoyo_migration', '_yoyo_log', '_yoyo_version', 'yoyo_lock') AND NOT starts_with(c.relname, '_pgyoyo_')
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), named AS NOT MATERIALIZED (
  SELECT a.attrelid, a.attnum, a.attname FROM pg_attribute AS a WHERE a.attnum > 0 AND NOT a.attisdropped
), rule AS MATERIALIZED (
  SELECT k.conrelid AS oid, k.conname AS name, k.conkey AS keys,
    CASE WHEN k.contype = 'c' THEN pg_get_constraintdef(k.oid) ELSE '' END AS text
  FROM pg_constraint AS k WHERE k.contype IN ('c', 'f') AND k.conrelid IN (SELECT oid FROM tab)
  UNION ALL
  -- The columns within an index's expressions are in pg_depend only.
  SELECT i.indrelid, c.relname, i.indkey::int2[] || ARRAY(
      SELECT d.refobjsubid::int2 FROM pg_depend AS d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.refobjid = i.indrelid), ''
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
  WHERE (i.indisunique OR i.indisexclusion) AND i.indrelid IN (SELECT oid FROM tab)
  UNION ALL
  SELECT p.partrelid, NULL, p.partattrs::int2[], coalesce(string_agg(pg_get_expr(child.relpartbound, child.oid), ' '), '')
  FROM pg_partitioned_table AS p
  LEFT JOIN pg_inherits AS h ON h.inhparent = p.partrelid LEFT JOIN pg_class AS child ON child.oid = h.inhrelid
  GROUP BY p.partrelid, p.partattrs::int2[]
)
SELECT tab.oid::bigint, tab.name, tab.relkind = 'p' AS partitioned,
  ARRAY(
    SELECT named.attname FROM pg_index AS i JOIN named ON named.attrelid = i.indrelid AND named.attnum = ANY (i.indkey)
    WHERE i.indrelid = tab.oid AND i.indisprimary ORDER BY named.attnum
  ) AS key,
  ARRAY(
    SELECT jsonb_build_object('name', a.attname, 'type', a.atttypid::text, 'typmod', a.atttypmod,
      'sql', format_type(a.atttypid, a.atttypmod),
      'nullable', NOT (a.attnotnull OR t.typnotnull))
    FROM pg_attribute AS a
    -- Looked up for each, behind a fence: all types would be read for each table.
    CROSS JOIN LATERAL (SELECT typnotnull FROM pg_type WHERE oid = a.atttypid OFFSET 0) AS t
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    WHERE a.attrelid = tab.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attidentity <> 'a' AND a.attgenerated = ''
      AND ((a.attidentity = '' AND coalesce(pg_get_expr(d.adbin, d.adrelid) NOT LIKE 'nextval(%%', true))
        OR EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = tab.oid AND k.contype = 'f' AND a.attnum = ANY (k.conkey)))
    ORDER BY a.attnum
  ) AS columns,
  ARRAY(
    SELECT jsonb_build_object('name', rule.name, 'text', rule.text, 'columns',
      ARRAY(SELECT attname FROM named WHERE attrelid = tab.oid AND attnum = ANY (rule.keys) ORDER BY attnum))
    FROM rule WHERE rule.oid = tab.oid ORDER BY rule.name
  ) AS rules,
  ARRAY(
    SELECT jsonb_build_object('target', format('%%I.%%I', n.nspname, c.relname),
      'columns', ARRAY(SELECT attname FROM unnest(k.conkey) WITH ORDINALITY AS u (num, i)
                       JOIN named ON attrelid = k.conrelid AND attnum = num ORDER BY i),
      'targets', ARRAY(SELECT attname FROM unnest(k.confkey) WITH ORDINALITY AS u (num, i)
                       JOIN named ON attrelid = k.confrelid AND attnum = num ORDER BY i))
    FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.confrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE k.conrelid = tab.oid AND k.contype = 'f' AND NOT c.relispartition ORDER BY k.conname
  ) AS links,
  tab.relkind = 'r' AND NOT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = tab.oid AND NOT t.tgisinternal)
    AND NOT EXISTS (SELECT FROM pg_rewrite AS r WHERE r.ev_class = tab.oid) AS plain
FROM tab;

-- name: code
-- A number that is another once a function, type or rule of a domain has changed, which may refuse values or make some.
SELECT coalesce(bit_xor(mark), 0) FROM (
  SELECT hash_record_extended(ROW (xmin, ctid), 1) FROM pg_proc WHERE oid >= 16384
  UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 2) FROM pg_type WHERE oid >= 16384 AND typtype IN ('d', 'e', 'r')
  UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 3) FROM pg_enum
  UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 4) FROM pg_constraint WHERE contypid <> 0 AND oid >= 16384
  UNION ALL
  SELECT hash_record_extended(ROW (a.xmin, a.ctid), 5) FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
  WHERE c.relkind = 'c' AND c.oid >= 16384
) AS written (mark);

-- name: types
-- The types of those columns, and what these are made of: name, kind (pg_type.typtype), category, enum labels, what an array,
-- domain or range is of, the fields of a composite type, the checks of a domain.
WITH RECURSIVE used (oid) AS (
  SELECT a.atttypid FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
  WHERE c.relkind IN ('r', 'p') AND c.oid >= 16384 AND a.attnum > 0 AND NOT a.attisdropped
  UNION
  SELECT part.oid
  FROM used JOIN pg_type AS t ON t.oid = used.oid LEFT JOIN pg_range AS r ON t.oid IN (r.rngtypid, r.rngmultitypid),
    LATERAL (
      VALUES (t.typbasetype), (CASE WHEN t.typcategory = 'A' THEN t.typelem END), (r.rngsubtype)
      UNION ALL SELECT a.atttypid FROM pg_attribute AS a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    ) AS part (oid)
  WHERE part.oid <> 0
)
SELECT t.oid::text, t.typname AS name, t.typtype::text AS kind, t.typcategory::text AS category, t.typtypmod AS typmod,
  coalesce(nullif(t.typbasetype, 0), r.rngsubtype, CASE WHEN t.typcategory = 'A' THEN t.typelem END)::text AS of,
  ARRAY(SELECT e.enumlabel FROM pg_enum AS e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder) AS labels,
  ARRAY(SELECT jsonb_build_array(a.atttypid::text, a.atttypmod) FROM pg_attribute AS a
        WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) AS fields,
  (SELECT coalesce(string_agg(pg_get_constraintdef(k.oid), ' '), '') FROM pg_constraint AS k
   WHERE k.contypid = t.oid AND k.contype = 'c') AS checks
FROM used JOIN pg_type AS t ON t.oid = used.oid LEFT JOIN pg_range AS r ON t.oid IN (r.rngtypid, r.rngmultitypid);
