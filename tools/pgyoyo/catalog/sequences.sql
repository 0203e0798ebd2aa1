-- name: sequences
-- One row, in any order, for a sequence and a column that takes its default from it, if there is one: `keyed` where a unique index
-- has it. Left out are those that start again at the end, and the sequences of extensions, of yoyo and ours. With %(oids)s, only
-- the sequences among these relations, and those that feed the tables among them. `branches`: tables may inherit from that table.
WITH near AS (
  SELECT seqrelid AS oid FROM pg_sequence WHERE %(oids)s::oid[] IS NULL
  UNION SELECT unnest(%(oids)s::oid[])
  UNION
  SELECT d.refobjid
  FROM pg_attrdef AS f
  JOIN pg_depend AS d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass
  WHERE f.adrelid = ANY (%(oids)s::oid[])
  UNION
  SELECT objid FROM pg_depend
  WHERE refclassid = 'pg_class'::regclass AND refobjid = ANY (%(oids)s::oid[]) AND refobjsubid > 0
    AND classid = 'pg_class'::regclass AND deptype = 'i'
), seq AS (
  SELECT c.oid, format('%%I.%%I', n.nspname, c.relname) AS name, s.seqincrement AS step
  FROM near JOIN pg_sequence AS s ON s.seqrelid = near.oid JOIN pg_class AS c ON c.oid = s.seqrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE NOT s.seqcycle AND c.relpersistence <> 't' AND NOT starts_with(c.relname, '_pgyoyo_')
    AND c.relname NOT IN ('_yoyo_migration', '_yoyo_log', '_yoyo_version', 'yoyo_lock')
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), feed AS (
  SELECT seq.oid AS seq, f.adrelid AS relid, f.adnum AS attnum
  FROM seq JOIN pg_depend AS d ON d.refobjid = seq.oid JOIN pg_attrdef AS f ON f.oid = d.objid
  WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
  UNION
  SELECT seq.oid, d.refobjid, d.refobjsubid FROM seq JOIN pg_depend AS d ON d.objid = seq.oid
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i' AND d.refobjsubid > 0
)
SELECT seq.oid::bigint, seq.name, seq.step, fed.relid::bigint, fed.tab, fed.col, fed.attname, coalesce(fed.keyed, false) AS keyed,
  coalesce(fed.branches, false) AS branches
FROM seq
LEFT JOIN (
  SELECT feed.seq, feed.relid, format('%%I.%%I', n.nspname, c.relname) AS tab, quote_ident(a.attname) AS col,
    a.attname, c.relkind = 'r' AND c.relhassubclass AS branches,
    EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey)) AS keyed
  FROM feed JOIN pg_class AS c ON c.oid = feed.relid AND c.relkind IN ('r', 'p') JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_attribute AS a ON a.attrelid = feed.relid AND a.attnum = feed.attnum
  WHERE a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
) AS fed ON fed.seq = seq.oid;

-- name: last
-- The last value of each of these sequences; NULL where it has given none yet.
SELECT oid::bigint, pg_sequence_last_value(oid) FROM unnest(%s::oid[]) AS oid;
