-- What changed in the catalogs between two moments of one database, in both of which the first query ran.

-- name: marks
-- One row for each relation, and for each other object whose name stands in definitions of relations: a hash of the places and
-- transactions of all its rows in the catalogs. It differs once one of these rows was written, added or removed. The rows of an
-- index count to its table. Roles and tablespaces are known by their names.
SELECT catalog::bigint, oid::bigint, bit_xor(mark)
FROM (
  SELECT 'pg_class'::regclass, coalesce(i.indrelid, main.oid, c.oid), hash_record_extended(ROW (c.xmin, c.ctid), 1)
  FROM pg_class AS c
  LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
  LEFT JOIN pg_class AS main ON c.relkind = 't' AND main.reltoastrelid = c.oid
  WHERE c.oid >= 16384
  UNION ALL
  SELECT 'pg_class'::regclass, coalesce(i.indrelid, a.attrelid), hash_record_extended(ROW (a.xmin, a.ctid), 2)
  FROM pg_attribute AS a
  LEFT JOIN pg_index AS i ON i.indexrelid = a.attrelid
  WHERE a.attrelid >= 16384 AND a.attnum > 0
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
  -- Which column a sequence belongs to, what belongs to an extension, comments and labels
  UNION ALL
  SELECT CASE WHEN part.relid IS NULL THEN extra.catalog ELSE 'pg_class'::regclass END, coalesce(part.relid, extra.oid), extra.mark
  FROM (
    SELECT classid, objid, hash_record_extended(ROW (xmin, ctid), 13) FROM pg_depend
    WHERE deptype IN ('e', 'x') OR (deptype IN ('a', 'i') AND refobjsubid > 0 AND classid = 'pg_class'::regclass)
    UNION ALL SELECT classoid, objoid, hash_record_extended(ROW (xmin, ctid), 14) FROM pg_description WHERE objoid >= 16384
    UNION ALL SELECT classoid, objoid, hash_record_extended(ROW (xmin, ctid), 15) FROM pg_seclabel
  ) AS extra (catalog, oid, mark)
  LEFT JOIN (
    SELECT 'pg_class'::regclass, indexrelid, indrelid FROM pg_index
    UNION ALL SELECT 'pg_constraint'::regclass, oid, conrelid FROM pg_constraint WHERE conrelid <> 0
    UNION ALL SELECT 'pg_trigger'::regclass, oid, tgrelid FROM pg_trigger
    UNION ALL SELECT 'pg_rewrite'::regclass, oid, ev_class FROM pg_rewrite WHERE oid >= 16384
    UNION ALL SELECT 'pg_policy'::regclass, oid, polrelid FROM pg_policy
    UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, stxrelid FROM pg_statistic_ext
  ) AS part (catalog, oid, relid) ON part.catalog = extra.catalog AND part.oid = extra.oid
  UNION ALL SELECT 'pg_namespace'::regclass, oid, hash_record_extended(ROW (xmin, ctid), 16) FROM pg_namespace
  -- Row types of tables and arrays depend on what they are of.
  UNION ALL
  SELECT 'pg_type'::regclass, t.oid, hash_record_extended(ROW (t.xmin, t.ctid), 17)
  FROM pg_type AS t
  WHERE t.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_type AS element WHERE element.typarray = t.oid)
    AND NOT EXISTS (SELECT FROM pg_class AS c WHERE c.oid = t.typrelid AND c.relkind <> 'c')
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
) AS written (catalog, oid, mark)
GROUP BY catalog, oid;

-- name: reached
-- The relations whose definitions may name the given objects: those that depend on them, however indirectly, in whole or by a
-- column, constraint, index, default, trigger, rule, policy or statistics. The given relations are among them.
WITH RECURSIVE reached (catalog, oid) AS (
  SELECT given.catalog, given.oid FROM unnest(%(catalogs)s::oid[], %(oids)s::oid[]) AS given (catalog, oid)
  UNION
  SELECT d.classid, d.objid
  FROM reached AS r
  -- Looked up for each, behind a fence: a plan that is kept for any number of objects would scan all of pg_depend.
  CROSS JOIN LATERAL (SELECT classid, objid FROM pg_depend WHERE refclassid = r.catalog AND refobjid = r.oid OFFSET 0) AS d
)
SELECT array_agg(DISTINCT relid::bigint)
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
) AS part (relid);
