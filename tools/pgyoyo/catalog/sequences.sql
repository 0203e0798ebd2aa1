-- name: sequences
-- One row a sequence, and a column that takes its default from it, if there is one: `keyed` where a unique index has it. Left out
-- are those that start again at the end, and the sequences of extensions, of yoyo and ours.
WITH seq AS (
  SELECT c.oid, format('%I.%I', n.nspname, c.relname) AS name, s.seqincrement AS step
  FROM pg_sequence AS s JOIN pg_class AS c ON c.oid = s.seqrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE NOT s.seqcycle AND c.relpersistence <> 't' AND NOT starts_with(c.relname, '_pgyoyo_')
    AND c.relname NOT IN ('_yoyo_migration', '_yoyo_log', '_yoyo_version', 'yoyo_lock')
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
), feed AS (
  SELECT d.refobjid AS seq, f.adrelid AS relid, f.adnum AS attnum
  FROM pg_depend AS d JOIN pg_attrdef AS f ON f.oid = d.objid
  WHERE d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
  UNION
  SELECT d.objid, d.refobjid, d.refobjsubid FROM pg_depend AS d
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'i' AND d.refobjsubid > 0
)
SELECT seq.name, seq.step, fed.tab, fed.col, coalesce(fed.keyed, false) AS keyed
FROM seq
LEFT JOIN (
  SELECT feed.seq, format('%I.%I', n.nspname, c.relname) AS tab, quote_ident(a.attname) AS col,
    EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND i.indisunique AND a.attnum = ANY (i.indkey)) AS keyed
  FROM feed JOIN pg_class AS c ON c.oid = feed.relid AND c.relkind IN ('r', 'p') JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_attribute AS a ON a.attrelid = feed.relid AND a.attnum = feed.attnum
  WHERE a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'numeric'::regtype)
) AS fed ON fed.seq = seq.oid
ORDER BY 1, 3, 4;
