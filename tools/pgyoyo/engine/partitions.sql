-- Whatever a schema of the search_path holds, only pg_catalog's functions and operators run.

-- name: tree
-- The partitions of a partitioned table, itself first and each behind the one it belongs to; no row where it is not one.
SELECT c.oid::bigint, coalesce(t.parentrelid::pg_catalog.oid::bigint, 0), n.nspname::pg_catalog.text, c.relname::pg_catalog.text, c.relkind::pg_catalog.text,
       c.oid::pg_catalog.regclass::pg_catalog.text
FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass(%(table)s::pg_catalog.text)) AS t
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) t.relid::pg_catalog.oid JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE (SELECT r.relkind FROM pg_catalog.pg_class AS r WHERE r.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(table)s::pg_catalog.text)::pg_catalog.oid) OPERATOR(pg_catalog.=) 'p'
ORDER BY t.level, c.oid;

-- name: indexes
-- The indexes of these tables that belong to no constraint: the index that each is attached to, and what it indexes.
SELECT i.indrelid::bigint, i.indexrelid::bigint, c.relname::pg_catalog.text, i.indexrelid::pg_catalog.regclass::pg_catalog.text, i.indisvalid,
       coalesce((SELECT h.inhparent::bigint FROM pg_catalog.pg_inherits AS h WHERE h.inhrelid OPERATOR(pg_catalog.=) i.indexrelid), 0),
       pg_catalog.concat(i.indisunique, pg_catalog.split_part(pg_catalog.pg_get_indexdef(i.indexrelid), ' USING ', 2))
FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
WHERE i.indrelid::bigint OPERATOR(pg_catalog.=) ANY (%(tables)s::pg_catalog.int8[])
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conindid OPERATOR(pg_catalog.=) i.indexrelid AND k.contype OPERATOR(pg_catalog.<>) 'f')
ORDER BY i.indexrelid;

-- name: taken
-- Which of these names, each in its schema, a table or an index has.
SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text
FROM ROWS FROM (pg_catalog.unnest(%(schemas)s::pg_catalog.text[]), pg_catalog.unnest(%(names)s::pg_catalog.text[])) AS w (schema, name)
JOIN pg_catalog.pg_namespace AS n ON n.nspname OPERATOR(pg_catalog.=) w.schema
JOIN pg_catalog.pg_class AS c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid AND c.relname OPERATOR(pg_catalog.=) w.name;

-- name: definition
-- What the index, or the CHECK, of our temporary copy of a table is.
SELECT pg_catalog.concat(i.indisunique, pg_catalog.split_part(pg_catalog.pg_get_indexdef(i.indexrelid), ' USING ', 2)) FROM pg_catalog.pg_index AS i
WHERE i.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('pg_temp._pgyoyo_like')::pg_catalog.oid
UNION ALL
SELECT pg_catalog.replace(pg_catalog.pg_get_constraintdef(k.oid), ' NOT VALID', '') FROM pg_catalog.pg_constraint AS k
WHERE k.conrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass('pg_temp._pgyoyo_like')::pg_catalog.oid AND k.contype OPERATOR(pg_catalog.=) 'c';

-- name: constraints
-- The constraints of a kind of these tables that have a name and no parent, or belong to one of those of the table above; whether
-- each is valid, and what it is.
WITH RECURSIVE c AS (
    SELECT k.oid, k.conrelid, k.conname, k.convalidated FROM pg_catalog.pg_constraint AS k
    WHERE k.conrelid::bigint OPERATOR(pg_catalog.=) ANY (%(tables)s::pg_catalog.int8[]) AND k.contype OPERATOR(pg_catalog.=) %(kind)s::pg_catalog."char"
      AND k.conname::pg_catalog.text OPERATOR(pg_catalog.=) %(name)s::pg_catalog.text
      AND (k.contype OPERATOR(pg_catalog.=) 'c' OR k.conrelid::bigint OPERATOR(pg_catalog.=) %(root)s)
    UNION
    SELECT k.oid, k.conrelid, k.conname, k.convalidated FROM c JOIN pg_catalog.pg_constraint AS k ON k.conparentid OPERATOR(pg_catalog.=) c.oid
    -- Of the same table are those with each partition of the table referred to, which are not to be validated by themselves.
    WHERE k.conrelid::bigint OPERATOR(pg_catalog.=) ANY (%(tables)s::pg_catalog.int8[]) AND k.conrelid OPERATOR(pg_catalog.<>) c.conrelid
)
SELECT c.conrelid::bigint, c.conname::pg_catalog.text, c.convalidated, pg_catalog.replace(pg_catalog.pg_get_constraintdef(c.oid), ' NOT VALID', '') FROM c ORDER BY c.oid;

-- name: keys
-- The foreign keys of these tables that are what a new one on {columns} would be, and whether each is attached to one above; the
-- valid ones, and that of the name, first. Then the names of all constraints of these tables that are something else.
SELECT k.conrelid::bigint, k.conname::pg_catalog.text, k.convalidated, m.same, k.conparentid OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
FROM pg_catalog.pg_constraint AS k CROSS JOIN LATERAL (
    SELECT k.contype OPERATOR(pg_catalog.=) 'f' AND k.confrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(referred)s)::pg_catalog.oid
       AND k.confdeltype OPERATOR(pg_catalog.=) %(deletes)s::pg_catalog."char" AND k.confupdtype OPERATOR(pg_catalog.=) %(updates)s::pg_catalog."char"
       AND k.confmatchtype OPERATOR(pg_catalog.=) %(match)s::pg_catalog."char"
       AND k.condeferrable OPERATOR(pg_catalog.=) %(deferrable)s AND k.condeferred OPERATOR(pg_catalog.=) %(deferred)s
       AND (NOT %(by_name)s OR k.conname::pg_catalog.text OPERATOR(pg_catalog.=) %(name)s)
       AND ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS n (attnum, place)
           JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) k.conrelid AND a.attnum OPERATOR(pg_catalog.=) n.attnum ORDER BY n.place) OPERATOR(pg_catalog.=) %(columns)s::pg_catalog.text[]
       AND (k.confkey OPERATOR(pg_catalog.=) (SELECT p.conkey FROM pg_catalog.pg_constraint AS p WHERE p.conrelid OPERATOR(pg_catalog.=) k.confrelid AND p.contype OPERATOR(pg_catalog.=) 'p') AND pg_catalog.cardinality(%(keys)s::pg_catalog.text[]) OPERATOR(pg_catalog.=) 0
           OR ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY AS n (attnum, place)
           JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) k.confrelid AND a.attnum OPERATOR(pg_catalog.=) n.attnum ORDER BY n.place) OPERATOR(pg_catalog.=) %(keys)s::pg_catalog.text[])
) AS m (same)
WHERE k.conrelid::bigint OPERATOR(pg_catalog.=) ANY (%(tables)s::pg_catalog.int8[])
ORDER BY coalesce(m.same, false) DESC, k.convalidated DESC, k.conname::pg_catalog.text OPERATOR(pg_catalog.=) %(name)s DESC, k.oid;
