-- What a column is, and what belongs to it or depends on it, in the database that all migrations make.

-- name: column
-- The column itself; nothing where there is none. Names are quoted where that is needed, the table's as the search_path has it.
SELECT c.oid::pg_catalog.int8 AS oid, a.attnum::pg_catalog.int4 AS number, c.relkind::pg_catalog.text AS kind,
       c.relispartition OR a.attinhcount OPERATOR(pg_catalog.>) 0 AS is_inherited, c.oid::pg_catalog.regclass::pg_catalog.text AS "table",
       c.relname::pg_catalog.text AS bare_table,
       CASE WHEN pg_catalog.pg_table_is_visible(c.oid) THEN '' ELSE pg_catalog.concat(pg_catalog.quote_ident(n.nspname), '.') END
         AS place,
       a.attname::pg_catalog.text AS bare, pg_catalog.quote_ident(a.attname) AS name,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS not_null, a.attidentity::pg_catalog.text AS identity,
       a.attgenerated::pg_catalog.text AS generated, pg_catalog.pg_get_expr(d.adbin, d.adrelid) AS "default",
       pg_catalog.col_description(c.oid, a.attnum) AS comment, a.attacl IS NOT NULL AS has_grants,
       a.attcollation OPERATOR(pg_catalog.<>) t.typcollation AS is_collated,
       a.attoptions IS NOT NULL OR coalesce(a.attstattarget, -1) OPERATOR(pg_catalog.<>) -1
         OR a.attstorage OPERATOR(pg_catalog.<>) t.typstorage OR a.attcompression OPERATOR(pg_catalog.<>) ''::pg_catalog."char"
         AS is_tuned,
       pg_catalog.pg_get_serial_sequence(c.oid::pg_catalog.regclass::pg_catalog.text, a.attname::pg_catalog.text) AS sequence,
       EXISTS (SELECT FROM pg_catalog.pg_inherits AS i WHERE i.inhparent OPERATOR(pg_catalog.=) c.oid) AS has_children,
       ARRAY(
         SELECT pg_catalog.quote_ident(g.tgname) FROM pg_catalog.pg_trigger AS g
         WHERE g.tgrelid OPERATOR(pg_catalog.=) c.oid AND NOT g.tgisinternal AND g.tgenabled OPERATOR(pg_catalog.=) 'O'
         ORDER BY g.tgname) AS triggers,
       (SELECT g.tgname::pg_catalog.text FROM pg_catalog.pg_trigger AS g
        WHERE g.tgrelid OPERATOR(pg_catalog.=) c.oid AND NOT g.tgisinternal ORDER BY g.tgname DESC LIMIT 1) AS last_trigger
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) c.oid AND NOT a.attisdropped
  AND a.attnum OPERATOR(pg_catalog.>) 0
JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) a.atttypid
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid OPERATOR(pg_catalog.=) c.oid AND d.adnum OPERATOR(pg_catalog.=) a.attnum
WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(table)s::pg_catalog.text)
  AND a.attname OPERATOR(pg_catalog.=) %(column)s::pg_catalog.name;

-- name: columns
-- The names of a table's columns, for a person who wrote another.
SELECT a.attname::pg_catalog.text
FROM pg_catalog.pg_attribute AS a
WHERE a.attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(table)s::pg_catalog.text)
  AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped
ORDER BY a.attnum;

-- name: indexes
SELECT pg_catalog.quote_ident(x.relname) AS name, x.relname::pg_catalog.text AS bare, pg_catalog.pg_get_indexdef(i.indexrelid) AS
         definition,
       i.indisunique AS is_unique, i.indisprimary AS is_primary, k.conname IS NOT NULL AS is_constraint,
       i.indisexclusion OR coalesce(k.condeferrable, false) OR NOT i.indisvalid AS is_odd,
       i.indisreplident OR i.indisclustered AS is_marked,
       pg_catalog.obj_description(i.indexrelid, 'pg_class') AS comment
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS x ON x.oid OPERATOR(pg_catalog.=) i.indexrelid
LEFT JOIN pg_catalog.pg_constraint AS k ON k.conindid OPERATOR(pg_catalog.=) i.indexrelid
  AND k.conrelid OPERATOR(pg_catalog.=) i.indrelid AND k.contype OPERATOR(pg_catalog.=) ANY ('{p,u,x}'::pg_catalog."char"[])
WHERE i.indrelid OPERATOR(pg_catalog.=) %(oid)s::pg_catalog.oid AND (
  %(number)s::pg_catalog.int2 OPERATOR(pg_catalog.=) ANY (i.indkey::pg_catalog.int2[])
  OR EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) i.indexrelid
      AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.refobjid OPERATOR(pg_catalog.=) i.indrelid AND d.refobjsubid OPERATOR(pg_catalog.=) %(number)s::pg_catalog.int4))
ORDER BY x.relname;

-- name: constraints
-- Checks and foreign keys of the column, and the foreign keys of other columns that refer to it.
SELECT k.contype::pg_catalog.text AS kind, pg_catalog.quote_ident(k.conname) AS name, k.conname::pg_catalog.text AS bare,
       k.conrelid::pg_catalog.regclass::pg_catalog.text AS "table", pg_catalog.pg_get_constraintdef(k.oid) AS definition,
       k.conrelid OPERATOR(pg_catalog.=) %(oid)s::pg_catalog.oid AND %(number)s::pg_catalog.int2 OPERATOR(pg_catalog.=)
         ANY (k.conkey) AS is_own,
       k.contype OPERATOR(pg_catalog.=) 'f' AND k.confrelid OPERATOR(pg_catalog.=) %(oid)s::pg_catalog.oid
         AND %(number)s::pg_catalog.int2 OPERATOR(pg_catalog.=) ANY (k.confkey) AS refers,
       k.contype OPERATOR(pg_catalog.=) 'c' AND (
         pg_catalog.cardinality(k.conkey) OPERATOR(pg_catalog.>) 1
         OR pg_catalog.pg_get_constraintdef(k.oid) OPERATOR(pg_catalog.~) 'IS NOT NULL|num_n') AS may_refuse_null,
       NOT k.convalidated OR k.condeferrable OR r.relkind OPERATOR(pg_catalog.<>) 'r' AS is_odd
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS r ON r.oid OPERATOR(pg_catalog.=) k.conrelid
WHERE (k.contype OPERATOR(pg_catalog.=) ANY ('{c,f}'::pg_catalog."char"[])
       AND k.conrelid OPERATOR(pg_catalog.=) %(oid)s::pg_catalog.oid
       AND %(number)s::pg_catalog.int2 OPERATOR(pg_catalog.=) ANY (k.conkey))
   OR (k.contype OPERATOR(pg_catalog.=) 'f' AND k.confrelid OPERATOR(pg_catalog.=) %(oid)s::pg_catalog.oid
       AND %(number)s::pg_catalog.int2 OPERATOR(pg_catalog.=) ANY (k.confkey))
ORDER BY k.conname;

-- name: others
-- What else depends on the column: views, generated columns, policies, triggers, statistics and so on, as the server names them;
-- a view by its own name in place of its rule's.
SELECT DISTINCT pg_catalog.pg_describe_object(
    CASE WHEN v.oid IS NULL THEN d.classid ELSE 'pg_catalog.pg_class'::pg_catalog.regclass END, coalesce(v.oid, d.objid), d.objsubid)
FROM pg_catalog.pg_depend AS d
LEFT JOIN pg_catalog.pg_rewrite AS w ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass
  AND w.oid OPERATOR(pg_catalog.=) d.objid AND w.rulename OPERATOR(pg_catalog.=) '_RETURN'
LEFT JOIN pg_catalog.pg_class AS v ON v.oid OPERATOR(pg_catalog.=) w.ev_class
LEFT JOIN pg_catalog.pg_constraint AS k ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_constraint'::pg_catalog.regclass
  AND k.oid OPERATOR(pg_catalog.=) d.objid
LEFT JOIN pg_catalog.pg_class AS x ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
  AND x.oid OPERATOR(pg_catalog.=) d.objid
LEFT JOIN pg_catalog.pg_attrdef AS f ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass
  AND f.oid OPERATOR(pg_catalog.=) d.objid
WHERE d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
  AND d.refobjid OPERATOR(pg_catalog.=) %(oid)s::pg_catalog.oid AND d.refobjsubid OPERATOR(pg_catalog.=) %(number)s::pg_catalog.int4
  AND k.oid IS NULL AND coalesce(x.relkind::pg_catalog.text, '') OPERATOR(pg_catalog.<>) ALL ('{i,S}'::pg_catalog.text[])
  AND coalesce(f.adnum OPERATOR(pg_catalog.<>) %(number)s::pg_catalog.int2, true)
ORDER BY 1;

-- name: triggers
-- The table's triggers, as the server names them, with the texts of their functions, which pg_depend doesn't know.
SELECT pg_catalog.pg_describe_object('pg_catalog.pg_trigger'::pg_catalog.regclass, g.oid, 0) AS words, p.prosrc AS body
FROM pg_catalog.pg_trigger AS g
JOIN pg_catalog.pg_proc AS p ON p.oid OPERATOR(pg_catalog.=) g.tgfoid
WHERE g.tgrelid OPERATOR(pg_catalog.=) %(oid)s::pg_catalog.oid AND NOT g.tgisinternal
ORDER BY g.tgname;

-- name: sequence
-- How a sequence counts, as ALTER TABLE … ADD GENERATED takes it, and its bare name.
SELECT c.relname::pg_catalog.text AS bare, pg_catalog.quote_ident(c.relname) AS name,
       pg_catalog.concat_ws(' ',
         CASE WHEN s.seqincrement OPERATOR(pg_catalog.<>) 1 THEN pg_catalog.concat('INCREMENT BY ', s.seqincrement) END,
         CASE WHEN s.seqstart OPERATOR(pg_catalog.<>) 1 THEN pg_catalog.concat('START WITH ', s.seqstart) END,
         CASE WHEN s.seqmin OPERATOR(pg_catalog.<>) usual.least THEN pg_catalog.concat('MINVALUE ', s.seqmin) END,
         CASE WHEN s.seqmax OPERATOR(pg_catalog.<>) usual.most THEN pg_catalog.concat('MAXVALUE ', s.seqmax) END,
         CASE WHEN s.seqcache OPERATOR(pg_catalog.<>) 1 THEN pg_catalog.concat('CACHE ', s.seqcache) END,
         CASE WHEN s.seqcycle THEN 'CYCLE' END) AS options
FROM pg_catalog.pg_sequence AS s
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) s.seqrelid
CROSS JOIN LATERAL (
  SELECT CASE WHEN s.seqtypid OPERATOR(pg_catalog.=) 'pg_catalog.int2'::pg_catalog.regtype THEN 32767
              WHEN s.seqtypid OPERATOR(pg_catalog.=) 'pg_catalog.int4'::pg_catalog.regtype THEN 2147483647
              ELSE 9223372036854775807 END AS most
) AS type
CROSS JOIN LATERAL (
  SELECT CASE WHEN up THEN 1 ELSE OPERATOR(pg_catalog.-) type.most OPERATOR(pg_catalog.-) 1 END AS least,
         CASE WHEN up THEN type.most ELSE -1 END AS most
  FROM (SELECT s.seqincrement OPERATOR(pg_catalog.>) 0 AS up) AS way
) AS usual
WHERE s.seqrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(name)s::pg_catalog.text);

-- name: name
-- A name as SQL, and whether something has it in the table's schema: a relation, function or constraint, or a column or trigger
-- of the table.
SELECT pg_catalog.quote_ident(w.name) AS quoted,
      EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.relname OPERATOR(pg_catalog.=) w.name::pg_catalog.name
              AND c.relnamespace OPERATOR(pg_catalog.=) t.relnamespace)
   OR EXISTS (SELECT FROM pg_catalog.pg_proc AS p WHERE p.proname OPERATOR(pg_catalog.=) w.name::pg_catalog.name
              AND p.pronamespace OPERATOR(pg_catalog.=) t.relnamespace)
   OR EXISTS (SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid OPERATOR(pg_catalog.=) t.oid
              AND a.attname OPERATOR(pg_catalog.=) w.name::pg_catalog.name AND NOT a.attisdropped)
   OR EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conname OPERATOR(pg_catalog.=) w.name::pg_catalog.name
              AND k.connamespace OPERATOR(pg_catalog.=) t.relnamespace)
   OR EXISTS (SELECT FROM pg_catalog.pg_trigger AS g WHERE g.tgrelid OPERATOR(pg_catalog.=) t.oid
              AND g.tgname OPERATOR(pg_catalog.=) w.name::pg_catalog.name) AS is_taken
FROM (SELECT %(name)s::pg_catalog.text AS name) AS w
JOIN pg_catalog.pg_class AS t ON t.oid OPERATOR(pg_catalog.=) %(oid)s::pg_catalog.oid;
