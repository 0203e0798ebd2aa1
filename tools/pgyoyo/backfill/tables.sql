-- What the catalog says of the tables that a statement reaches, before its first batch.

-- name: tables
-- The tables that a statement on a table reaches, itself first and then its partitions and children by oid, each with what
-- decides whether their rows can be done in batches. {columns} are those that are set, {functions} with {schemas} what its WHERE calls (an operator by a name that is also a built-in one's is not looked at),
-- {event} the bit of pg_trigger.tgtype and {rule} the letter of pg_rewrite.ev_type of what it does.
WITH RECURSIVE tree AS (
    SELECT pg_catalog.to_regclass(%(table)s::pg_catalog.text)::pg_catalog.oid AS oid, 0 AS level
    UNION
    SELECT i.inhrelid, level OPERATOR(pg_catalog.+) 1 FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent OPERATOR(pg_catalog.=) tree.oid AND NOT %(only)s
)
SELECT c.oid::bigint, c.oid::pg_catalog.regclass::pg_catalog.text AS name, c.relname::pg_catalog.text, c.relkind::pg_catalog.text AS kind, am.amname::pg_catalog.text AS method,
       CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'r' THEN pg_catalog.pg_relation_size(c.oid) OPERATOR(pg_catalog./) pg_catalog.current_setting('block_size')::int ELSE 0 END AS pages,
       pg_catalog.row_security_active(c.oid) AS secured,
       (SELECT pg_catalog.min(rulename::pg_catalog.text) FROM pg_catalog.pg_rewrite
        WHERE ev_class OPERATOR(pg_catalog.=) c.oid AND ev_type OPERATOR(pg_catalog.=) %(rule)s::pg_catalog."char" AND ev_enabled OPERATOR(pg_catalog.<>) 'D' AND c.relkind OPERATOR(pg_catalog.<>) 'v') AS rule,
       ARRAY(SELECT t.tgname::pg_catalog.text FROM pg_catalog.pg_trigger t
             WHERE t.tgrelid OPERATOR(pg_catalog.=) c.oid AND {fires} ORDER BY t.tgname) AS triggers,
       ARRAY(SELECT pg_catalog.pg_get_triggerdef(t.oid) FROM pg_catalog.pg_trigger t
             WHERE t.tgrelid OPERATOR(pg_catalog.=) c.oid AND t.tgqual IS NOT NULL AND {fires} ORDER BY t.tgname) AS definitions,
       ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a
             WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped AND a.attgenerated OPERATOR(pg_catalog.=) ''
               AND a.attname::pg_catalog.text OPERATOR(pg_catalog.<>) ALL (%(columns)s::pg_catalog.text[]) ORDER BY a.attnum) AS others,
       ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a
             WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attnotnull AND NOT a.attisdropped) AS not_null,
       ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a
             WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (%(columns)s::pg_catalog.text[]) AND (
                 EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid AND (i.indisunique OR i.indisreplident)
                         AND a.attnum OPERATOR(pg_catalog.=) ANY (i.indkey))
                 OR EXISTS (SELECT FROM pg_catalog.pg_partitioned_table p WHERE p.partrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.=) ANY (p.partattrs))
                 -- A partition key that is an expression: the columns in it depend on the table.
                 OR c.relkind OPERATOR(pg_catalog.=) 'p' AND EXISTS (SELECT FROM pg_catalog.pg_depend d
                         WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) c.oid AND d.objsubid OPERATOR(pg_catalog.=) a.attnum::pg_catalog.int4
                           AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid OPERATOR(pg_catalog.=) c.oid AND d.refobjsubid OPERATOR(pg_catalog.=) 0)
             )) AS keys,
       -- What this role may do to all columns (of UPDATE, to any), and as the last one whether it may read one of them.
       ARRAY(SELECT p FROM pg_catalog.unnest('{SELECT,DELETE}'::pg_catalog.text[]) AS p WHERE pg_catalog.has_table_privilege(c.oid, p)
             UNION ALL SELECT p FROM pg_catalog.unnest('{UPDATE}'::pg_catalog.text[]) AS p WHERE pg_catalog.has_any_column_privilege(c.oid, p)
             UNION ALL SELECT 'SELECT of columns'::pg_catalog.text WHERE pg_catalog.has_any_column_privilege(c.oid, 'SELECT')) AS allowed,
       EXISTS (SELECT FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (%(columns)s::pg_catalog.text[])
               WHERE k.contype OPERATOR(pg_catalog.=) 'f' AND k.conrelid OPERATOR(pg_catalog.=) c.oid AND a.attnum OPERATOR(pg_catalog.=) ANY (k.conkey)) AS references_others,
       (SELECT pg_catalog.min(p.proname::pg_catalog.text) FROM ROWS FROM (pg_catalog.unnest(%(functions)s::pg_catalog.text[]), pg_catalog.unnest(%(schemas)s::pg_catalog.text[])) f (name, schema)
        CROSS JOIN LATERAL (
            SELECT p.oid, n.nspname, pg_catalog.pg_function_is_visible(p.oid) AS visible FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
            WHERE p.proname::pg_catalog.text OPERATOR(pg_catalog.=) f.name
            UNION ALL SELECT o.oprcode::pg_catalog.oid, n.nspname, pg_catalog.pg_operator_is_visible(o.oid) FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) o.oprnamespace
            WHERE o.oprname::pg_catalog.text OPERATOR(pg_catalog.=) f.name
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_operator b WHERE b.oprname OPERATOR(pg_catalog.=) o.oprname AND b.oid OPERATOR(pg_catalog.<) 16384::pg_catalog.oid)
        ) c JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) c.oid
        WHERE p.provolatile OPERATOR(pg_catalog.=) 'v' AND CASE WHEN f.schema IS NULL THEN c.visible ELSE c.nspname::pg_catalog.text OPERATOR(pg_catalog.=) f.schema END) AS volatile
FROM tree JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) tree.oid LEFT JOIN pg_catalog.pg_am am ON am.oid OPERATOR(pg_catalog.=) c.relam
ORDER BY tree.level OPERATOR(pg_catalog.<>) 0, c.oid;

-- name: view_of
-- Whether a view reads one of the tables.
WITH RECURSIVE below AS (
    SELECT pg_catalog.to_regclass(%(view)s::pg_catalog.text)::pg_catalog.oid AS oid
    UNION
    SELECT d.refobjid FROM below JOIN pg_catalog.pg_rewrite r ON r.ev_class OPERATOR(pg_catalog.=) below.oid
    JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) r.oid AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
)
SELECT EXISTS (SELECT FROM below WHERE below.oid::bigint OPERATOR(pg_catalog.=) ANY (%(tables)s::pg_catalog.int8[]));

-- name: references
-- The foreign keys that refer to the tables {tables}: who has them, what they do when a row is deleted, how many bytes the
-- table has that would be read for each, unless an index leads to its rows.
SELECT k.conrelid::bigint, k.conrelid::pg_catalog.regclass::pg_catalog.text AS name, k.confdeltype::pg_catalog.text AS action,
       ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) k.conrelid AND a.attnum OPERATOR(pg_catalog.=) ANY (k.conkey)) AS columns,
       (SELECT coalesce(pg_catalog.sum(pg_catalog.pg_relation_size(p.relid)), pg_catalog.pg_relation_size(k.conrelid))::bigint
        FROM pg_catalog.pg_partition_tree(k.conrelid) p WHERE p.isleaf) AS bytes,
       EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid OPERATOR(pg_catalog.=) k.conrelid AND i.indpred IS NULL AND i.indisvalid
               AND k.conkey OPERATOR(pg_catalog.<@) (pg_catalog.string_to_array(i.indkey::pg_catalog.text, ' ')::pg_catalog.int2[])[1:pg_catalog.cardinality(k.conkey)]) AS indexed
FROM pg_catalog.pg_constraint k
WHERE k.contype OPERATOR(pg_catalog.=) 'f' AND k.confrelid::bigint OPERATOR(pg_catalog.=) ANY (%(tables)s::pg_catalog.int8[]) AND k.conparentid OPERATOR(pg_catalog.=) 0::pg_catalog.oid
ORDER BY name;

-- name: leaves
-- The tables that hold the rows of the tables {tables}.
SELECT DISTINCT p.relid::pg_catalog.oid::bigint FROM pg_catalog.unnest(%(tables)s::pg_catalog.int8[]) t
CROSS JOIN LATERAL (SELECT relid FROM pg_catalog.pg_partition_tree(t::pg_catalog.oid) WHERE isleaf UNION SELECT t::pg_catalog.oid) p;

-- name: unique_keys
-- The unique keys of the table {table} that keep a row of the columns {names} from being inserted twice: all their columns are
-- among these, have no NULL, and stand there by themselves, without a condition; each with the name of its constraint or index.
SELECT i.indexrelid::pg_catalog.regclass::pg_catalog.text, coalesce((SELECT k.conname::pg_catalog.text FROM pg_catalog.pg_constraint k WHERE k.conindid OPERATOR(pg_catalog.=) i.indexrelid AND k.contype OPERATOR(pg_catalog.<>) 'f' LIMIT 1), '') AS name,
       pg_catalog.array_agg(a.attname::pg_catalog.text ORDER BY k.place), pg_catalog.array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) ORDER BY k.place)
FROM pg_catalog.pg_index i CROSS JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid AND a.attnum OPERATOR(pg_catalog.=) k.attnum
WHERE i.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(table)s::pg_catalog.text)::pg_catalog.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
  AND i.indpred IS NULL AND k.place OPERATOR(pg_catalog.<=) i.indnkeyatts
GROUP BY i.indexrelid
HAVING pg_catalog.bool_and(a.attname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (%(names)s::pg_catalog.text[]) AND a.attnotnull) ORDER BY i.indexrelid;

-- name: other_keys
-- How many unique and exclusion indexes a table has.
SELECT pg_catalog.count(*) FROM pg_catalog.pg_index i
WHERE i.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(table)s::pg_catalog.text)::pg_catalog.oid AND (i.indisunique OR i.indisexclusion);

-- name: columns
-- The columns of a table, in their order.
SELECT attname::pg_catalog.text FROM pg_catalog.pg_attribute
WHERE attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(table)s::pg_catalog.text)::pg_catalog.oid AND attnum OPERATOR(pg_catalog.>) 0 AND NOT attisdropped ORDER BY attnum;

-- name: generated
-- The columns of a table, each with those that it is generated from.
SELECT a.attname::pg_catalog.text, ARRAY(
    SELECT f.attname::pg_catalog.text FROM pg_catalog.pg_attrdef g
    JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) g.oid AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass
    JOIN pg_catalog.pg_attribute f ON f.attrelid OPERATOR(pg_catalog.=) d.refobjid AND f.attnum OPERATOR(pg_catalog.=) d.refobjsubid::pg_catalog.int2
    WHERE a.attgenerated OPERATOR(pg_catalog.<>) '' AND g.adrelid OPERATOR(pg_catalog.=) a.attrelid AND g.adnum OPERATOR(pg_catalog.=) a.attnum AND d.refobjid OPERATOR(pg_catalog.=) a.attrelid)
FROM pg_catalog.pg_attribute a
WHERE a.attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(table)s::pg_catalog.text)::pg_catalog.oid AND a.attnum OPERATOR(pg_catalog.>) 0 AND NOT a.attisdropped;

-- name: size
-- The size of a table with its partitions and children, and of their indexes.
WITH RECURSIVE tree AS (
    SELECT pg_catalog.to_regclass(%(table)s::pg_catalog.text)::pg_catalog.oid AS oid
    UNION SELECT i.inhrelid FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent OPERATOR(pg_catalog.=) tree.oid
)
SELECT coalesce(pg_catalog.sum(pg_catalog.pg_relation_size(oid)), 0)::bigint, coalesce(pg_catalog.sum(pg_catalog.pg_indexes_size(oid)), 0)::bigint FROM tree;

-- name: bounds
-- Whose partition or child each of these tables is, and each above it; its bound, and the type of each column, or expression, of the key.
WITH RECURSIVE above AS (
    SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i WHERE i.inhrelid::bigint OPERATOR(pg_catalog.=) ANY (%(tables)s::pg_catalog.int8[])
    UNION SELECT i.inhrelid, i.inhparent FROM above JOIN pg_catalog.pg_inherits i ON i.inhrelid OPERATOR(pg_catalog.=) above.inhparent
)
SELECT above.inhrelid::bigint, above.inhparent::bigint, coalesce(pg_catalog.pg_get_expr(c.relpartbound, c.oid), ''),
       ARRAY(SELECT coalesce(pg_catalog.format_type(coalesce(a.atttypid, t.oid), NULL), 'text')
             FROM pg_catalog.generate_series(0, p.partnatts OPERATOR(pg_catalog.-) 1) k (place)
             LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) p.partrelid AND a.attnum OPERATOR(pg_catalog.=) p.partattrs[k.place]
             LEFT JOIN pg_catalog.pg_opclass o ON o.oid OPERATOR(pg_catalog.=) p.partclass[k.place]
             LEFT JOIN pg_catalog.pg_type t ON t.oid OPERATOR(pg_catalog.=) o.opcintype AND t.typtype OPERATOR(pg_catalog.<>) 'p'
             ORDER BY k.place)
FROM above JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) above.inhrelid
LEFT JOIN pg_catalog.pg_partitioned_table p ON p.partrelid OPERATOR(pg_catalog.=) above.inhparent
ORDER BY above.inhrelid;

-- name: key
-- The columns of a table's primary key, in its order.
SELECT a.attname::pg_catalog.text FROM pg_catalog.pg_index i
CROSS JOIN LATERAL pg_catalog.unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid AND a.attnum OPERATOR(pg_catalog.=) k.attnum
WHERE i.indrelid OPERATOR(pg_catalog.=) %(oid)s::pg_catalog.oid AND i.indisprimary AND k.place OPERATOR(pg_catalog.<=) i.indnkeyatts ORDER BY k.place;

-- name: types
-- The type of each column of a table, as in its definition.
SELECT attname::pg_catalog.text, pg_catalog.format_type(atttypid, atttypmod) FROM pg_catalog.pg_attribute
WHERE attrelid OPERATOR(pg_catalog.=) %(oid)s::pg_catalog.oid AND attnum OPERATOR(pg_catalog.>) 0 AND NOT attisdropped;

-- name: biggest
-- The size of the biggest table of a name.
SELECT pg_catalog.max(pg_catalog.pg_relation_size(c.oid)) FROM pg_catalog.pg_class AS c
WHERE c.relname OPERATOR(pg_catalog.=) %(name)s::pg_catalog.text;
