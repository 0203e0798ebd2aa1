-- What changed in the catalogs between two moments of one database, in both of which the first query ran.

-- name: marks
-- One row for each relation, and for each other object whose name stands in definitions of relations: a hash of the places and
-- transactions of all its rows in the catalogs. It differs once one of these rows was written, added or removed. The rows of an
-- index count to its table. Roles and tablespaces are known by their names. Two more rows, of catalog 0: what belongs to an
-- extension (1), and all that belongs to no relation and that nothing else names (0).
SELECT catalog::bigint, oid::bigint, bit_xor(mark)
FROM (
  -- An option of a table's TOAST table is set with the table's. Privileges on what belongs to the system count to the rest.
  SELECT CASE WHEN c.oid >= 16384 THEN 'pg_class'::regclass ELSE 0::regclass END,
    CASE WHEN c.oid >= 16384 THEN coalesce(i.indrelid, c.oid) ELSE 0 END, hash_record_extended(ROW (c.xmin, c.ctid), 1)
  FROM pg_class AS c
  LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
  WHERE (c.oid >= 16384 AND c.relnamespace <> 'pg_toast'::regnamespace) OR (c.oid < 16384 AND c.relacl IS NOT NULL)
  UNION ALL
  SELECT CASE WHEN a.attrelid >= 16384 THEN 'pg_class'::regclass ELSE 0::regclass END,
    CASE WHEN a.attrelid >= 16384 THEN coalesce(i.indrelid, a.attrelid) ELSE 0 END, hash_record_extended(ROW (a.xmin, a.ctid), 2)
  FROM pg_attribute AS a
  LEFT JOIN pg_index AS i ON i.indexrelid = a.attrelid
  WHERE (a.attrelid >= 16384 AND a.attnum > 0
      AND a.attrelid NOT IN (SELECT oid FROM pg_class WHERE relnamespace = 'pg_toast'::regnamespace))
    OR (a.attrelid < 16384 AND a.attacl IS NOT NULL)
  UNION ALL SELECT 'pg_class'::regclass, indrelid, hash_record_extended(ROW (xmin, ctid), 3) FROM pg_index WHERE indexrelid >= 16384
  UNION ALL SELECT 'pg_class'::regclass, adrelid, hash_record_extended(ROW (xmin, ctid), 4) FROM pg_attrdef
  UNION ALL SELECT 'pg_class'::regclass, conrelid, hash_record_extended(ROW (xmin, ctid), 5) FROM pg_constraint WHERE conrelid <> 0
  UNION ALL SELECT 'pg_class'::regclass, tgrelid, hash_record_extended(ROW (xmin, ctid), 6) FROM pg_trigger
  UNION ALL SELECT 'pg_class'::regclass, ev_class, hash_record_extended(ROW (xmin, ctid), 7) FROM pg_rewrite WHERE oid >= 16384
  UNION ALL SELECT 'pg_class'::regclass, polrelid, hash_record_extended(ROW (xmin, ctid), 8) FROM pg_policy
  UNION ALL SELECT 'pg_class'::regclass, stxrelid, hash_record_extended(ROW (xmin, ctid), 9) FROM pg_statistic_ext
  UNION ALL SELECT 'pg_class'::regclass, seqrelid, hash_record_extended(ROW (xmin, ctid), 10) FROM pg_sequence
  UNION ALL SELECT 'pg_class'::regclass, ftrelid, hash_record_extended(ROW (xmin, ctid), 11) FROM pg_foreign_table
  UNION ALL
  SELECT 'pg_class'::regclass, coalesce(i.indrelid, h.inhrelid), hash_record_extended(ROW (h.xmin, h.ctid), 12)
  FROM pg_inherits AS h
  LEFT JOIN pg_index AS i ON i.indexrelid = h.inhrelid
  -- Which column a sequence belongs to, what belongs to an extension, comments and labels, also those of a part of a relation
  UNION ALL
  SELECT CASE deptype WHEN 'e' THEN 0::regclass ELSE classid END, CASE deptype WHEN 'e' THEN 1 ELSE objid END,
    hash_record_extended(ROW (xmin, ctid), 13)
  FROM pg_depend
  WHERE deptype IN ('e', 'x') OR (deptype IN ('a', 'i') AND refobjsubid > 0 AND classid = 'pg_class'::regclass
    AND objid IN (SELECT seqrelid FROM pg_sequence))
  UNION ALL SELECT classoid, objoid, hash_record_extended(ROW (xmin, ctid), 14) FROM pg_description WHERE objoid >= 16384
  UNION ALL SELECT classoid, objoid, hash_record_extended(ROW (xmin, ctid), 15) FROM pg_seclabel
  UNION ALL SELECT 'pg_namespace'::regclass, oid, hash_record_extended(ROW (xmin, ctid), 16) FROM pg_namespace
  -- Row types of tables and arrays depend on what they are of.
  UNION ALL
  SELECT 'pg_type'::regclass, oid, hash_record_extended(ROW (xmin, ctid), 17)
  FROM pg_type
  WHERE oid >= 16384 AND NOT (typarray = 0 AND typcategory = 'A')
    AND (typtype <> 'c' OR typrelid IN (SELECT oid FROM pg_class WHERE relkind = 'c'))
  UNION ALL SELECT 'pg_type'::regclass, enumtypid, hash_record_extended(ROW (xmin, ctid), 18) FROM pg_enum
  UNION ALL SELECT 'pg_proc'::regclass, oid, hash_record_extended(ROW (xmin, ctid), 19) FROM pg_proc WHERE oid >= 16384
  UNION ALL SELECT 'pg_operator'::regclass, oid, hash_record_extended(ROW (xmin, ctid), 20) FROM pg_operator WHERE oid >= 16384
  UNION ALL SELECT 'pg_opclass'::regclass, oid, hash_record_extended(ROW (xmin, ctid), 21) FROM pg_opclass WHERE oid >= 16384
  UNION ALL SELECT 'pg_collation'::regclass, oid, hash_record_extended(ROW (xmin, ctid), 22) FROM pg_collation WHERE oid >= 16384
  UNION ALL SELECT 'pg_ts_config'::regclass, oid, hash_record_extended(ROW (xmin, ctid), 23) FROM pg_ts_config WHERE oid >= 16384
  UNION ALL SELECT 'pg_ts_dict'::regclass, oid, hash_record_extended(ROW (xmin, ctid), 24) FROM pg_ts_dict WHERE oid >= 16384
  UNION ALL SELECT 'pg_am'::regclass, oid, hash_record_extended(ROW (xmin, ctid), 25) FROM pg_am WHERE oid >= 16384
  UNION ALL SELECT 'pg_foreign_server'::regclass, oid, hash_record_extended(ROW (xmin, ctid), 26) FROM pg_foreign_server
  UNION ALL SELECT 'pg_authid'::regclass, oid, hashtextextended(rolname::text, 27) FROM pg_roles
  UNION ALL SELECT 'pg_tablespace'::regclass, oid, hashtextextended(spcname::text, 28) FROM pg_tablespace
  UNION ALL
  SELECT 0::regclass, 0, mark
  FROM (
    SELECT hash_record_extended(ROW (xmin, ctid), 30) FROM pg_extension
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 31) FROM pg_constraint WHERE conrelid = 0
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 32) FROM pg_conversion WHERE oid >= 16384
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 33) FROM pg_cast WHERE oid >= 16384
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 34) FROM pg_opfamily WHERE oid >= 16384
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 35) FROM pg_amop WHERE oid >= 16384
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 36) FROM pg_amproc WHERE oid >= 16384
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 37) FROM pg_ts_template WHERE oid >= 16384
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 38) FROM pg_ts_parser WHERE oid >= 16384
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 39) FROM pg_ts_config_map WHERE mapcfg >= 16384
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 40) FROM pg_language
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 41) FROM pg_transform
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 42) FROM pg_foreign_data_wrapper
    UNION ALL SELECT hashtextextended(concat_ws(' ', umid, usename, srvname, umoptions), 43) FROM pg_user_mappings
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 44) FROM pg_event_trigger
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 45) FROM pg_publication
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 46) FROM pg_publication_rel
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 47) FROM pg_depend WHERE refclassid = 'pg_publication'::regclass
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 48) FROM pg_default_acl
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 49) FROM pg_init_privs
    UNION ALL SELECT hash_record_extended(ROW (d.xmin, d.ctid), 50)
    FROM (
      SELECT 'pg_namespace'::regclass, oid FROM pg_namespace UNION ALL SELECT 'pg_extension'::regclass, oid FROM pg_extension
    ) AS o (catalog, oid)
    CROSS JOIN LATERAL (SELECT xmin, ctid FROM pg_description WHERE objoid = o.oid AND classoid = o.catalog OFFSET 0) AS d
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 51) FROM pg_proc WHERE oid < 16384 AND proacl IS NOT NULL
    UNION ALL SELECT hash_record_extended(ROW (xmin, ctid), 52) FROM pg_type WHERE oid < 16384 AND typacl IS NOT NULL
  ) AS others (mark)
) AS written (catalog, oid, mark)
GROUP BY catalog, oid;

-- name: reached
-- The relations whose definitions may name the given objects: those that depend on them, however indirectly, in whole or by a
-- column, constraint, index, default, trigger, rule, policy or statistics. The given relations are among them. The second column
-- says whether something that belongs to no relation is reached too, such as a function or a publication. What is read next looks
-- up these relations: its plan is kept while the catalog grows, and may not scan what was small when it was made.
WITH RECURSIVE reached (catalog, oid) AS (
  SELECT given.catalog, given.oid FROM unnest(%(catalogs)s::oid[], %(oids)s::oid[]) AS given (catalog, oid)
  UNION
  SELECT d.classid, d.objid
  FROM reached AS r
  -- Looked up for each, behind a fence: a plan that is kept for any number of objects would scan all of pg_depend.
  CROSS JOIN LATERAL (SELECT classid, objid FROM pg_depend WHERE refclassid = r.catalog AND refobjid = r.oid OFFSET 0) AS d
)
SELECT array_agg(DISTINCT relid::bigint) FILTER (WHERE relid IS NOT NULL), coalesce(bool_or(relid IS NULL), false),
  set_config('enable_seqscan', 'off', true)
FROM reached AS r
CROSS JOIN LATERAL (
  SELECT r.oid WHERE r.catalog = 'pg_class'::regclass
  UNION ALL SELECT indrelid FROM pg_index WHERE r.catalog = 'pg_class'::regclass AND indexrelid = r.oid
  -- The column whose identity a sequence is shows what the sequence does.
  UNION ALL
  SELECT refobjid FROM pg_depend
  WHERE r.catalog = 'pg_class'::regclass AND classid = r.catalog AND objid = r.oid AND refclassid = r.catalog AND deptype IN ('a', 'i')
  UNION ALL SELECT conrelid FROM pg_constraint WHERE r.catalog = 'pg_constraint'::regclass AND oid = r.oid AND conrelid <> 0
  UNION ALL SELECT adrelid FROM pg_attrdef WHERE r.catalog = 'pg_attrdef'::regclass AND oid = r.oid
  UNION ALL SELECT tgrelid FROM pg_trigger WHERE r.catalog = 'pg_trigger'::regclass AND oid = r.oid
  UNION ALL SELECT ev_class FROM pg_rewrite WHERE r.catalog = 'pg_rewrite'::regclass AND oid = r.oid
  UNION ALL SELECT polrelid FROM pg_policy WHERE r.catalog = 'pg_policy'::regclass AND oid = r.oid
  UNION ALL SELECT stxrelid FROM pg_statistic_ext WHERE r.catalog = 'pg_statistic_ext'::regclass AND oid = r.oid
  -- Of a relation of an extension only the privileges are shown, among those on what belongs to the system.
  UNION ALL
  SELECT NULL FROM pg_depend WHERE r.catalog = 'pg_class'::regclass AND classid = r.catalog AND objid = r.oid AND deptype = 'e'
  -- Nothing shows an attribute of a composite type but the type. The row types of other relations, and arrays, are not shown.
  UNION ALL SELECT NULL FROM pg_class WHERE r.catalog = 'pg_class'::regclass AND oid = r.oid AND relkind = 'c'
  UNION ALL
  SELECT NULL FROM pg_type
  WHERE r.catalog = 'pg_type'::regclass AND oid = r.oid AND typtype <> 'c' AND NOT (typarray = 0 AND typcategory = 'A')
  UNION ALL SELECT NULL FROM pg_constraint WHERE r.catalog = 'pg_constraint'::regclass AND oid = r.oid AND conrelid = 0
  UNION ALL
  SELECT NULL
  WHERE r.catalog NOT IN ('pg_class'::regclass, 'pg_type'::regclass, 'pg_constraint'::regclass, 'pg_attrdef'::regclass,
    'pg_trigger'::regclass, 'pg_rewrite'::regclass, 'pg_policy'::regclass, 'pg_statistic_ext'::regclass)
) AS part (relid);
