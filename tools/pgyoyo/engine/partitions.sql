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

-- name: constraints
-- The constraints of these tables with a name, or that belong to one of that name of the table above; whether each is valid.
WITH RECURSIVE c AS (
    SELECT k.oid, k.conrelid, k.conname, k.convalidated FROM pg_catalog.pg_constraint AS k
    WHERE k.conrelid::bigint OPERATOR(pg_catalog.=) ANY (%(tables)s::pg_catalog.int8[]) AND k.contype OPERATOR(pg_catalog.=) ANY ('{c,f}'::pg_catalog."char"[])
      AND k.conname::pg_catalog.text OPERATOR(pg_catalog.=) %(name)s::pg_catalog.text
    UNION
    SELECT k.oid, k.conrelid, k.conname, k.convalidated FROM c JOIN pg_catalog.pg_constraint AS k ON k.conparentid OPERATOR(pg_catalog.=) c.oid
    -- Of the same table are those with each partition of the table referred to, which are not to be validated by themselves.
    WHERE k.conrelid::bigint OPERATOR(pg_catalog.=) ANY (%(tables)s::pg_catalog.int8[]) AND k.conrelid OPERATOR(pg_catalog.<>) c.conrelid
)
SELECT c.conrelid::bigint, c.conname::pg_catalog.text, c.convalidated FROM c ORDER BY c.oid;
