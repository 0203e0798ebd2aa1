-- The queries of a scale trial (scale.py), which runs them with the search_path pg_catalog.

-- name: touched
-- The tables that the session has locked, by their roots (the partitioned table of a partition, else itself); of those that it
-- may write, also the tables that their foreign keys point to; of materialized views those that they are made of.
WITH RECURSIVE locked AS (
  SELECT c.oid, c.relkind, bool_or(l.mode NOT IN ('AccessShareLock', 'RowShareLock')) AS writes
  FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
  WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.relation >= 16384 AND c.relkind IN ('r', 'p', 'm')
  GROUP BY c.oid
), made_of (oid, relkind) AS (
  SELECT oid, relkind FROM locked
  UNION
  SELECT c.oid, c.relkind FROM made_of JOIN pg_rewrite AS r ON r.ev_class = made_of.oid AND made_of.relkind IN ('v', 'm')
  JOIN pg_depend AS d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
  JOIN pg_class AS c ON c.oid = d.refobjid AND c.relkind IN ('r', 'p', 'v', 'm') AND c.oid <> r.ev_class
), each AS (
  SELECT oid FROM made_of WHERE relkind IN ('r', 'p')
  UNION
  SELECT k.confrelid FROM locked JOIN pg_constraint AS k ON k.conrelid = locked.oid WHERE locked.writes AND k.contype = 'f'
)
SELECT DISTINCT coalesce(CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid END, c.oid)::bigint
FROM each JOIN pg_class AS c USING (oid) JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname !~ '^pg_(toast|catalog)' AND c.relname !~ '^(_pgyoyo_.*|_yoyo_(migration|log|version).*|yoyo_lock.*)$';

-- name: counts
-- By table: its root (see touched); whether the session may write it, NULL where it has no lock on it; rows read; rows inserted, updated,
-- deleted; blocks read, with those of its indexes, so far in this transaction; and the position in the WAL. The counts include unflushed ones of earlier
-- transactions, so only their differences are meaningful.
WITH held AS MATERIALIZED (
  SELECT relation AS oid, bool_or(mode = 'RowExclusiveLock') AS writes FROM pg_locks
  WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation >= 16384 GROUP BY relation
), counted AS MATERIALIZED (
  SELECT coalesce(i.indrelid, c.oid) AS oid, i.indrelid IS NULL AS heap, pg_stat_get_xact_tuples_returned(c.oid) AS returned,
    pg_stat_get_xact_tuples_fetched(c.oid) AS fetched, pg_stat_get_xact_tuples_inserted(c.oid) AS inserted,
    pg_stat_get_xact_tuples_updated(c.oid) AS updated, pg_stat_get_xact_tuples_deleted(c.oid) AS deleted,
    pg_stat_get_xact_blocks_fetched(c.oid) AS blocks
  FROM pg_class AS c LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
  WHERE c.relkind IN ('r', 'm', 'i', 'p') AND c.oid >= 16384
)
SELECT t.oid::bigint, coalesce(CASE WHEN t.relispartition THEN pg_partition_root(t.oid)::oid END, t.oid)::bigint,
  bool_or(held.writes), sum(fetched + CASE WHEN heap THEN returned ELSE 0 END)::bigint,
  sum(CASE WHEN heap THEN inserted ELSE 0 END)::bigint, sum(CASE WHEN heap THEN updated ELSE 0 END)::bigint,
  sum(CASE WHEN heap THEN deleted ELSE 0 END)::bigint, sum(blocks)::bigint,
  (SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint)
FROM counted JOIN pg_class AS t USING (oid) LEFT JOIN held USING (oid)
WHERE held.oid IS NOT NULL OR returned + fetched + inserted + updated + deleted + blocks > 0
GROUP BY t.oid, t.relispartition;

-- name: tables
-- What is to be known to fill tables, given by OID. Columns: all but generated ones; "base" is the type under all domains;
-- "counted": it has another value in each row, as far as the schema tells; "length": the most
-- characters of a text, or digits before the point of a number, 0 for no limit. "bounds": those of its partitions, behind the
-- column they are about. "open": partitioned tables below it that have no default partition. "checks": its own CHECKs.
-- "views": materialized views that read it. "domains": what drops those of its columns' domains.
-- "keys": the columns of each unique index, the last one first, without those that rows are partitioned by.
-- "links": foreign keys, with the root of the table that they point to.
WITH RECURSIVE base (typ, oid, typmod, nulls) AS (
  SELECT t.oid, t.oid, -1, NOT t.typnotnull FROM pg_type AS t
  WHERE t.oid IN (SELECT atttypid FROM pg_attribute WHERE attrelid = ANY (%(oids)s::oid[]) AND attnum > 0)
  UNION ALL
  SELECT base.typ, t.typbasetype, t.typtypmod, base.nulls AND NOT u.typnotnull
  FROM base JOIN pg_type AS t ON t.oid = base.oid JOIN pg_type AS u ON u.oid = t.typbasetype WHERE t.typtype = 'd'
), keys AS (
  -- The last column that rows are not partitioned by, or those within an expression.
  SELECT i.indexrelid, i.indrelid, i.indpred, i.indexprs, (ARRAY(
      SELECT k FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS u (k, n)
      WHERE n <= i.indnkeyatts AND k > 0 ORDER BY coalesce(k = ANY (p.partattrs::int2[]), false), n DESC) || ARRAY(
      SELECT d.refobjsubid::int2 FROM pg_depend AS d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid AND d.refobjid = i.indrelid AND d.refobjsubid > 0
        AND i.indexprs IS NOT NULL)) AS columns
  FROM pg_index AS i LEFT JOIN pg_partitioned_table AS p ON p.partrelid = i.indrelid
  WHERE i.indisunique AND i.indrelid = ANY (%(oids)s::oid[])
)
SELECT c.oid::bigint, format('%%I.%%I', n.nspname, c.relname) AS name,
  ARRAY(
    SELECT jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'base', t.typname,
      'oid', a.atttypid::text, 'typmod', a.atttypmod, 'category', t.typcategory, 'nullable', base.nulls AND NOT a.attnotnull,
      'length', CASE WHEN m.typmod < 4 THEN 0
                     WHEN t.typname = 'numeric' THEN greatest((m.typmod - 4 >> 16) - (m.typmod - 4 & 2047), 1)
                     WHEN t.typcategory = 'S' THEN m.typmod - 4 ELSE 0 END,
      'labels', ARRAY(SELECT e.enumlabel FROM pg_enum AS e WHERE e.enumtypid = t.oid ORDER BY e.enumsortorder),
      'counted', a.attidentity <> '' OR t.typname = 'uuid' OR a.attname = 'id' OR EXISTS (
        SELECT FROM pg_attrdef AS d WHERE d.adrelid = c.oid AND d.adnum = a.attnum AND pg_get_expr(d.adbin, d.adrelid) ~ 'nextval'))
    FROM pg_attribute AS a JOIN base ON base.typ = a.atttypid JOIN pg_type AS t ON t.oid = base.oid AND t.typtype <> 'd'
    CROSS JOIN LATERAL (SELECT CASE WHEN a.atttypmod >= 0 THEN a.atttypmod ELSE base.typmod END AS typmod) AS m
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    ORDER BY a.attnum
  ) AS columns,
  ARRAY(
    SELECT to_jsonb(ARRAY(
      SELECT a.attname FROM unnest(keys.columns) WITH ORDINALITY AS u (k, n)
      JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = u.k
      WHERE n = 1 OR NOT EXISTS (SELECT FROM pg_partitioned_table AS p WHERE p.partrelid = c.oid AND p.partstrat <> 'h' AND u.k = ANY (p.partattrs::int2[]))
      ORDER BY n))
    FROM keys WHERE keys.indrelid = c.oid
  ) AS keys,
  ARRAY(
    SELECT concat_ws(' ', (SELECT a.attname FROM pg_attribute AS a WHERE a.attrelid = p.partrelid AND a.attnum = p.partattrs[0]),
      pg_get_expr(child.relpartbound, child.oid))
    FROM pg_partition_tree(c.oid) AS tree JOIN pg_class AS child ON child.oid = tree.relid
    JOIN pg_partitioned_table AS p ON p.partrelid = tree.parentrelid
  ) AS bounds,
  ARRAY(
    SELECT format('%%I.%%I', pn.nspname, parent.relname)
    FROM pg_partition_tree(c.oid) AS tree JOIN pg_class AS parent ON parent.oid = tree.relid
    JOIN pg_namespace AS pn ON pn.oid = parent.relnamespace
    JOIN pg_partitioned_table AS p ON p.partrelid = parent.oid AND p.partstrat <> 'h' AND p.partdefid = 0
  ) AS open,
  ARRAY(SELECT format('%%I', k.conname) FROM pg_constraint AS k WHERE k.conrelid = c.oid AND k.contype = 'c' AND k.conislocal) AS checks,
  ARRAY(
    SELECT DISTINCT format('%%I.%%I', vn.nspname, v.relname) FROM pg_depend AS d
    JOIN pg_rewrite AS r ON r.oid = d.objid JOIN pg_class AS v ON v.oid = r.ev_class AND v.relkind = 'm' AND v.relispopulated
    JOIN pg_namespace AS vn ON vn.oid = v.relnamespace
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid
  ) AS views,
  ARRAY(
    SELECT format('ALTER DOMAIN %%I.%%I DROP CONSTRAINT %%I', dn.nspname, d.typname, k.conname)
    FROM pg_attribute AS a JOIN base ON base.typ = a.atttypid JOIN pg_constraint AS k ON k.contypid = base.oid AND k.contype = 'c'
    JOIN pg_type AS d ON d.oid = k.contypid JOIN pg_namespace AS dn ON dn.oid = d.typnamespace
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  ) AS domains,
  ARRAY(
    SELECT jsonb_build_object('name', format('%%I', k.conname), 'table', k.confrelid::bigint,
      -- What becomes of the rows that point to one that is deleted, or gets another key: they go with it, or change.
      'acts', k.confdeltype IN ('c', 'n', 'd') OR k.confupdtype IN ('c', 'n', 'd'),
      'columns', ARRAY(SELECT attname FROM unnest(k.conkey) WITH ORDINALITY AS u (num, i) JOIN pg_attribute ON attrelid = k.conrelid AND attnum = num ORDER BY i),
      'targets', ARRAY(SELECT attname FROM unnest(k.confkey) WITH ORDINALITY AS u (num, i) JOIN pg_attribute ON attrelid = k.confrelid AND attnum = num ORDER BY i))
    FROM pg_constraint AS k WHERE k.conrelid = c.oid AND k.contype = 'f' AND k.conislocal
      -- Where a foreign key points to a partitioned table, there is one for each of its partitions too.
      AND k.conparentid = 0
    ORDER BY k.conname
  ) AS links
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = ANY (%(oids)s::oid[])
ORDER BY c.oid;

-- name: paused
-- What takes the foreign keys and the triggers of these tables out of the way of rows, and what brings each back.
SELECT format('ALTER TABLE %%s DROP CONSTRAINT %%I', t.name, k.conname),
  format('ALTER TABLE %%s ADD CONSTRAINT %%I %%s', t.name, k.conname, pg_get_constraintdef(k.oid))
FROM pg_constraint AS k
JOIN (SELECT c.oid, format('%%I.%%I', n.nspname, c.relname) AS name
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace) AS t ON t.oid = k.conrelid
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = ANY (%(oids)s::oid[])
UNION ALL
SELECT format('ALTER TABLE %%I.%%I DISABLE TRIGGER %%I', n.nspname, c.relname, g.tgname),
  format('ALTER TABLE %%I.%%I ENABLE %%s TRIGGER %%I', n.nspname, c.relname,
    CASE g.tgenabled WHEN 'A' THEN 'ALWAYS' WHEN 'R' THEN 'REPLICA' ELSE '' END, g.tgname)
FROM pg_trigger AS g JOIN pg_class AS c ON c.oid = g.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT g.tgisinternal AND g.tgenabled <> 'D' AND g.tgrelid = ANY (%(oids)s::oid[]);

-- name: texts
-- The definitions of the functions, views and rules with these names, and of the triggers of tables given by OID; of a rule, that
-- of its table or view.
SELECT CASE WHEN p.prosqlbody IS NULL THEN p.prosrc ELSE pg_get_function_sqlbody(p.oid) END
FROM pg_proc AS p
WHERE p.oid >= 16384
  AND (p.proname = ANY (%(names)s::name[]) OR p.oid IN (SELECT tgfoid FROM pg_trigger WHERE tgrelid = ANY (%(oids)s::oid[])))
UNION ALL
SELECT pg_get_viewdef(c.oid) FROM pg_class AS c
WHERE c.relname = ANY (%(names)s::name[]) AND c.relkind IN ('v', 'm') AND c.oid >= 16384
UNION ALL
SELECT pg_get_ruledef(r.oid) FROM pg_rewrite AS r JOIN pg_class AS c ON c.oid = r.ev_class
WHERE c.relname = ANY (%(names)s::name[]) AND r.rulename <> '_RETURN' AND c.oid >= 16384;

-- name: keys
-- The columns of each unique index, with its table, given by OID, and the condition of one of a part of the rows; without those
-- with expressions. A column that rows are partitioned by has to be in it, and adds nothing to one that has another value in each row.
SELECT i.indrelid::bigint, ARRAY(
    SELECT a.attname FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS u (k, n)
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid AND a.attnum OPERATOR(pg_catalog.=) k
    WHERE n OPERATOR(pg_catalog.<=) i.indnkeyatts
      AND NOT (p.partrelid IS NOT NULL AND k OPERATOR(pg_catalog.=) ANY (p.partattrs::pg_catalog.int2[]) AND EXISTS (
        SELECT FROM pg_catalog.pg_attribute AS b JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) b.atttypid
        LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid OPERATOR(pg_catalog.=) b.attrelid AND d.adnum OPERATOR(pg_catalog.=) b.attnum
        WHERE b.attrelid OPERATOR(pg_catalog.=) i.indrelid AND b.attnum OPERATOR(pg_catalog.=) ANY (i.indkey::pg_catalog.int2[])
          AND NOT b.attnum OPERATOR(pg_catalog.=) ANY (p.partattrs::pg_catalog.int2[])
          AND (b.attidentity OPERATOR(pg_catalog.<>) '' OR t.typname OPERATOR(pg_catalog.=) 'uuid'
            OR b.attname OPERATOR(pg_catalog.=) 'id'
            OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) OPERATOR(pg_catalog.~) 'nextval')))),
  pg_catalog.pg_get_expr(i.indpred, i.indrelid)
FROM pg_catalog.pg_index AS i LEFT JOIN pg_catalog.pg_partitioned_table AS p ON p.partrelid OPERATOR(pg_catalog.=) i.indrelid
WHERE i.indisunique AND i.indisvalid AND i.indexprs IS NULL
  AND i.indrelid::bigint OPERATOR(pg_catalog.=) ANY (%(oids)s::bigint[]);

-- name: never_null
-- The columns that have a value in every row, with their table, given by OID; one whose NOT NULL is NOT VALID may have nulls,
-- and so may those that tables which inherit have.
SELECT a.attrelid::bigint, a.attname FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS t ON t.oid OPERATOR(pg_catalog.=) a.attrelid
WHERE a.attnotnull AND (t.relkind OPERATOR(pg_catalog.=) 'p' OR NOT t.relhassubclass) AND a.attnum OPERATOR(pg_catalog.>) 0 AND a.attrelid::bigint OPERATOR(pg_catalog.=) ANY (%(oids)s::bigint[])
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_constraint AS c WHERE c.conrelid OPERATOR(pg_catalog.=) a.attrelid
      AND c.contype::pg_catalog.text OPERATOR(pg_catalog.=) 'n' AND NOT c.convalidated
      AND c.conkey OPERATOR(pg_catalog.=) ARRAY[a.attnum]);

-- name: fires
-- A row if any relation of these bare names, or a partition of it, has an enabled trigger of its own, or a rule, for INSERT
-- (bit 4 of tgtype; ev_type 3).
WITH RECURSIVE named AS (
  SELECT c.oid FROM pg_catalog.pg_class AS c
  WHERE c.relname OPERATOR(pg_catalog.=) ANY (%(names)s::pg_catalog.name[]) AND c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
  UNION
  SELECT h.inhrelid FROM named AS n JOIN pg_catalog.pg_inherits AS h ON h.inhparent OPERATOR(pg_catalog.=) n.oid
)
SELECT FROM named AS c
WHERE (EXISTS (
    SELECT FROM pg_catalog.pg_trigger AS t
    WHERE t.tgrelid OPERATOR(pg_catalog.=) c.oid AND NOT t.tgisinternal AND t.tgenabled OPERATOR(pg_catalog.<>) 'D'
      AND (t.tgtype OPERATOR(pg_catalog.&) 4::pg_catalog.int2) OPERATOR(pg_catalog.>) 0::pg_catalog.int2
  ) OR EXISTS (
    SELECT FROM pg_catalog.pg_rewrite AS r WHERE r.ev_class OPERATOR(pg_catalog.=) c.oid AND r.ev_type OPERATOR(pg_catalog.=) '3'
  ))
LIMIT 1;
