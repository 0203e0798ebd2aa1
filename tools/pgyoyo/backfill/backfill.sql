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
       ARRAY(SELECT tgname::pg_catalog.text FROM pg_catalog.pg_trigger
             WHERE tgrelid OPERATOR(pg_catalog.=) c.oid AND NOT tgisinternal AND tgenabled OPERATOR(pg_catalog.=) ANY (CASE WHEN %(skipping)s THEN '{R,A}' ELSE '{O,A}' END::pg_catalog."char"[]) AND tgtype OPERATOR(pg_catalog.&) %(event)s::pg_catalog.int2 OPERATOR(pg_catalog.<>) 0 AND (%(event)s OPERATOR(pg_catalog.<>) 16 OR pg_catalog.cardinality(tgattr::pg_catalog.int2[]) OPERATOR(pg_catalog.=) 0 OR EXISTS (SELECT FROM pg_catalog.pg_attribute u WHERE u.attrelid OPERATOR(pg_catalog.=) c.oid
                   AND u.attnum OPERATOR(pg_catalog.=) ANY (tgattr) AND (u.attname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (%(columns)s::pg_catalog.text[]) OR u.attgenerated OPERATOR(pg_catalog.<>) '')))
             ORDER BY tgname) AS triggers,
       ARRAY(SELECT pg_catalog.pg_get_triggerdef(t.oid) FROM pg_catalog.pg_trigger t
             WHERE tgrelid OPERATOR(pg_catalog.=) c.oid AND NOT tgisinternal AND tgqual IS NOT NULL AND tgenabled OPERATOR(pg_catalog.=) ANY (CASE WHEN %(skipping)s THEN '{R,A}' ELSE '{O,A}' END::pg_catalog."char"[])
               AND tgtype OPERATOR(pg_catalog.&) %(event)s::pg_catalog.int2 OPERATOR(pg_catalog.<>) 0 AND (%(event)s OPERATOR(pg_catalog.<>) 16 OR pg_catalog.cardinality(t.tgattr::pg_catalog.int2[]) OPERATOR(pg_catalog.=) 0 OR EXISTS (SELECT FROM pg_catalog.pg_attribute u WHERE u.attrelid OPERATOR(pg_catalog.=) c.oid
                   AND u.attnum OPERATOR(pg_catalog.=) ANY (t.tgattr) AND (u.attname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (%(columns)s::pg_catalog.text[]) OR u.attgenerated OPERATOR(pg_catalog.<>) ''))) ORDER BY tgname) AS definitions,
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
             )) AS keys,
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

-- name: cascaded
-- How many rows of these tables this transaction has deleted or updated by now, by their names.
SELECT pg_catalog.json_object_agg(t::pg_catalog.oid::pg_catalog.regclass::pg_catalog.text,
    pg_catalog.pg_stat_get_xact_tuples_deleted(t::pg_catalog.oid) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(t::pg_catalog.oid))::pg_catalog.text
FROM pg_catalog.unnest(%(tables)s::pg_catalog.int8[]) t;

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

-- name: aggregates
-- Which of these functions are aggregates.
SELECT proname::pg_catalog.text FROM pg_catalog.pg_proc
WHERE proname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (%(names)s::pg_catalog.text[]) AND prokind OPERATOR(pg_catalog.=) 'a' AND pg_catalog.pg_function_is_visible(oid) ORDER BY 1 LIMIT 1;

-- name: volatile
-- Which of these functions may give another result each time, in whatever schema they are.
SELECT DISTINCT proname::pg_catalog.text FROM pg_catalog.pg_proc
WHERE proname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (%(names)s::pg_catalog.text[]) AND provolatile OPERATOR(pg_catalog.=) 'v';

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

-- name: missing_columns
-- What the table of backfills has not, where an earlier version made it.
SELECT c.definition FROM (VALUES
    ('statement', 'statement integer NOT NULL DEFAULT 0'), ('account', $$account pg_catalog.text[] NOT NULL DEFAULT '{}'$$),
    ('busy', 'busy double precision NOT NULL DEFAULT 0'), ('horizon', $$horizon pg_catalog.text NOT NULL DEFAULT ''$$), ('cascaded', $$cascaded pg_catalog.jsonb NOT NULL DEFAULT '{}'$$),
    ('waiting', $$waiting pg_catalog.text NOT NULL DEFAULT ''$$), ('control', $$control pg_catalog.jsonb NOT NULL DEFAULT '{}'$$)
) AS c (name, definition)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(own)s)::pg_catalog.oid
      AND a.attname::pg_catalog.text OPERATOR(pg_catalog.=) c.name AND NOT a.attisdropped);

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

-- name: horizon
-- The oldest transaction of this database that has a number and is open, or the next number; those of other databases change
-- no row here. And how far the server's WAL goes.
SELECT coalesce(
    (SELECT l.transactionid FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) l.pid
     WHERE l.locktype OPERATOR(pg_catalog.=) 'transactionid' AND l.granted AND l.mode OPERATOR(pg_catalog.=) 'ExclusiveLock'
       AND (a.datname IS NULL OR a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
     ORDER BY pg_catalog.age(l.transactionid) DESC LIMIT 1),
    pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.xid)::pg_catalog.text, pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text;

-- name: state
-- A table as it is now.
SELECT pg_catalog.pg_relation_filenode(c.oid)::bigint, pg_catalog.pg_relation_size(c.oid) OPERATOR(pg_catalog./) pg_catalog.current_setting('block_size')::int,
       pg_catalog.pg_relation_size(c.oid), pg_catalog.pg_indexes_size(c.oid)
FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) %(oid)s::pg_catalog.oid;

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

-- name: functions
-- The functions of a name that are not built in, with their bodies; those of an aggregate or an operator of that name, too.
-- One in C of an extension is trusted, as is an immutable one of any language that can't be looked into.
WITH named AS (
    SELECT p.oid, p.prokind FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
    WHERE p.proname::pg_catalog.text OPERATOR(pg_catalog.=) %(name)s::pg_catalog.text
      AND (n.nspname::pg_catalog.text OPERATOR(pg_catalog.=) %(schema)s::pg_catalog.text OR %(schema)s::pg_catalog.text IS NULL AND pg_catalog.pg_function_is_visible(p.oid))
), called AS (
    SELECT named.oid FROM named WHERE named.prokind OPERATOR(pg_catalog.=) 'f'
    UNION SELECT f.oid FROM named JOIN pg_catalog.pg_aggregate a ON a.aggfnoid::pg_catalog.oid OPERATOR(pg_catalog.=) named.oid
    CROSS JOIN LATERAL pg_catalog.unnest(ARRAY[a.aggtransfn::pg_catalog.oid, a.aggfinalfn::pg_catalog.oid]) f (oid)
    UNION SELECT o.oprcode::pg_catalog.oid FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) o.oprnamespace
    WHERE o.oprname::pg_catalog.text OPERATOR(pg_catalog.=) %(name)s::pg_catalog.text
      AND (n.nspname::pg_catalog.text OPERATOR(pg_catalog.=) %(schema)s::pg_catalog.text OR %(schema)s::pg_catalog.text IS NULL AND pg_catalog.pg_operator_is_visible(o.oid))
)
SELECT p.oid::bigint, p.proname::pg_catalog.text AS name, l.lanname::pg_catalog.text AS language, pg_catalog.pg_get_functiondef(p.oid) AS definition,
       CASE WHEN p.prosqlbody IS NULL THEN p.prosrc END AS source,
       l.lanname OPERATOR(pg_catalog.<>) ALL ('{sql,plpgsql}'::pg_catalog.name[]) AND (p.provolatile OPERATOR(pg_catalog.=) 'i' OR EXISTS (
           SELECT FROM pg_catalog.pg_depend d WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) p.oid AND d.deptype OPERATOR(pg_catalog.=) 'e')) AS trusted
FROM called JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) called.oid JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid;

-- name: reached
-- The functions, by schema and name, that these views call, and our function of this session, if it is there: by themselves, or
-- by an operator, another view or the CHECK of a domain.
WITH RECURSIVE reached (class, id) AS (
    SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid, pg_catalog.to_regprocedure('pg_temp._pgyoyo_reads()')::pg_catalog.oid
    UNION SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, pg_catalog.to_regclass(r)::pg_catalog.oid FROM pg_catalog.unnest(%(relations)s::pg_catalog.text[]) r
    UNION SELECT d.refclassid, d.refobjid FROM reached CROSS JOIN LATERAL (
        SELECT reached.class, reached.id WHERE reached.class OPERATOR(pg_catalog.=) ANY (ARRAY['pg_catalog.pg_proc', 'pg_catalog.pg_operator']::pg_catalog.regclass[]::pg_catalog.oid[])
        UNION ALL SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass, w.oid FROM pg_catalog.pg_rewrite w
        WHERE reached.class OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND w.ev_class OPERATOR(pg_catalog.=) reached.id AND w.ev_type OPERATOR(pg_catalog.=) '1'
        UNION ALL SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid FROM pg_catalog.pg_constraint k
        WHERE reached.class OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass AND k.contypid OPERATOR(pg_catalog.=) reached.id
    ) s (class, id) JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) s.class AND d.objid OPERATOR(pg_catalog.=) s.id
    WHERE d.refclassid OPERATOR(pg_catalog.=) ANY (ARRAY['pg_catalog.pg_proc', 'pg_catalog.pg_operator', 'pg_catalog.pg_class', 'pg_catalog.pg_type']::pg_catalog.regclass[]::pg_catalog.oid[])
)
SELECT DISTINCT n.nspname::pg_catalog.text, p.proname::pg_catalog.text FROM reached JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) reached.id
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
WHERE reached.class OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.proname OPERATOR(pg_catalog.<>) '_pgyoyo_reads';

-- name: trigger_functions
-- The functions of the triggers that fire (with skipping: under session_replication_role = replica), by schema and name, with that of the trigger.
SELECT DISTINCT n.nspname::pg_catalog.text, p.proname::pg_catalog.text, t.tgname::pg_catalog.text
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) t.tgfoid JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
WHERE t.tgrelid::bigint OPERATOR(pg_catalog.=) ANY (%(tables)s::pg_catalog.int8[]) AND NOT t.tgisinternal AND t.tgenabled OPERATOR(pg_catalog.=) ANY (CASE WHEN %(skipping)s THEN '{R,A}' ELSE '{O,A}' END::pg_catalog."char"[])
  AND t.tgtype OPERATOR(pg_catalog.&) %(event)s::pg_catalog.int2 OPERATOR(pg_catalog.<>) 0 AND (%(event)s OPERATOR(pg_catalog.<>) 16 OR pg_catalog.cardinality(t.tgattr::pg_catalog.int2[]) OPERATOR(pg_catalog.=) 0 OR EXISTS (SELECT FROM pg_catalog.pg_attribute u WHERE u.attrelid OPERATOR(pg_catalog.=) t.tgrelid
                   AND u.attnum OPERATOR(pg_catalog.=) ANY (t.tgattr) AND (u.attname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (%(columns)s::pg_catalog.text[]) OR u.attgenerated OPERATOR(pg_catalog.<>) '')));

-- name: fired
-- The same triggers with when each fires, and its function.
SELECT t.tgname::pg_catalog.text AS name, CASE WHEN t.tgtype OPERATOR(pg_catalog.&) 2::pg_catalog.int2 OPERATOR(pg_catalog.<>) 0 THEN 'BEFORE' ELSE 'AFTER' END AS when,
       t.tgtype OPERATOR(pg_catalog.&) 1::pg_catalog.int2 OPERATOR(pg_catalog.<>) 0 AS for_each_row, l.lanname::pg_catalog.text AS language, pg_catalog.pg_get_functiondef(p.oid) AS definition
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) t.tgfoid JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
WHERE t.tgrelid::bigint OPERATOR(pg_catalog.=) ANY (%(tables)s::pg_catalog.int8[]) AND NOT t.tgisinternal AND t.tgenabled OPERATOR(pg_catalog.=) ANY (CASE WHEN %(skipping)s THEN '{R,A}' ELSE '{O,A}' END::pg_catalog."char"[])
  AND t.tgtype OPERATOR(pg_catalog.&) %(event)s::pg_catalog.int2 OPERATOR(pg_catalog.<>) 0 AND (%(event)s OPERATOR(pg_catalog.<>) 16 OR pg_catalog.cardinality(t.tgattr::pg_catalog.int2[]) OPERATOR(pg_catalog.=) 0 OR EXISTS (SELECT FROM pg_catalog.pg_attribute u WHERE u.attrelid OPERATOR(pg_catalog.=) t.tgrelid
                   AND u.attnum OPERATOR(pg_catalog.=) ANY (t.tgattr) AND (u.attname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (%(columns)s::pg_catalog.text[]) OR u.attgenerated OPERATOR(pg_catalog.<>) ''))) ORDER BY t.tgname, t.tgrelid;

-- name: biggest
-- The size of the biggest table of a name.
SELECT pg_catalog.max(pg_catalog.pg_relation_size(c.oid)) FROM pg_catalog.pg_class AS c
WHERE c.relname OPERATOR(pg_catalog.=) %(name)s::pg_catalog.text;

-- name: others_wrote
-- How many rows this transaction has written by now, table by table: what triggers and functions did besides.
SELECT relid::bigint, relid::pg_catalog.regclass::pg_catalog.text, n_tup_ins OPERATOR(pg_catalog.+) n_tup_upd OPERATOR(pg_catalog.+) n_tup_del FROM pg_catalog.pg_stat_xact_user_tables
WHERE n_tup_ins OPERATOR(pg_catalog.+) n_tup_upd OPERATOR(pg_catalog.+) n_tup_del OPERATOR(pg_catalog.>) 0;

-- name: is_superuser
-- Whether this role may set anything.
SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) current_user;

-- name: may_skip_triggers
-- Whether this role may set session_replication_role; from PostgreSQL 15 on.
SELECT pg_catalog.has_parameter_privilege('session_replication_role', 'SET');

-- name: begin
-- A backfill begins.
INSERT INTO {schema}._pgyoyo_backfill AS b (migration_hash, migration_id, checksum, pid)
VALUES (%(hash)s, %(id)s, %(checksum)s, pg_catalog.pg_backend_pid());

-- name: resume
-- It is resumed, perhaps in another session.
UPDATE {schema}._pgyoyo_backfill SET pid = pg_catalog.pg_backend_pid(), updated_at = pg_catalog.clock_timestamp() WHERE migration_hash OPERATOR(pg_catalog.=) %(hash)s
RETURNING checksum, statement, account, finished, relation::bigint, filenode::bigint, high, zone_start, zone_end, turn, page, rows, batches,
    worked, busy, longest_batch, longest_wait, wal::pg_catalog.float8, heap_before, indexes_before, cascaded, horizon, pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text AS lsn;

-- name: save
-- Where it is, written in the transaction of the batch; the longest that anybody waits for this transaction, too, which is
-- about to end.
UPDATE {schema}._pgyoyo_backfill AS b SET
    updated_at = pg_catalog.clock_timestamp(), statement = %(statement)s, account = ARRAY(SELECT pg_catalog.jsonb_array_elements_text(%(account)s::pg_catalog.jsonb)),
    finished = %(finished)s, cascaded = %(cascaded)s, busy = %(busy)s, horizon = %(horizon)s, relation = %(relation)s, filenode = %(filenode)s,
    high = %(high)s, zone_start = %(zone_start)s, zone_end = %(zone_end)s, turn = %(turn)s, page = %(page)s,
    rows = %(rows)s, batches = %(batches)s, worked = %(worked)s, fraction = %(fraction)s,
    longest_batch = %(longest_batch)s, wal = %(wal)s OPERATOR(pg_catalog.+) pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), %(lsn)s)::pg_catalog.float8,
    heap_before = %(heap_before)s, indexes_before = %(indexes_before)s,
    waiting = '', longest_wait = greatest(%(longest_wait)s, w.longest)
FROM (
    SELECT extract(epoch FROM pg_catalog.max(pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) waitstart))::pg_catalog.float8 AS longest FROM pg_catalog.pg_locks
    WHERE NOT granted AND (locktype OPERATOR(pg_catalog.=) 'transactionid' AND transactionid OPERATOR(pg_catalog.=) pg_catalog.pg_current_xact_id()::pg_catalog.xid
        OR locktype OPERATOR(pg_catalog.=) 'tuple' AND relation OPERATOR(pg_catalog.=) %(relation)s::pg_catalog.oid)
) AS w
WHERE b.migration_hash OPERATOR(pg_catalog.=) %(hash)s
RETURNING b.longest_wait, b.wal, coalesce(w.longest, 0), b.control;

-- name: wait
-- It waits, and why; what the row says of how it shall go on.
UPDATE {schema}._pgyoyo_backfill AS b SET waiting = %(waiting)s, updated_at = pg_catalog.clock_timestamp()
WHERE b.migration_hash OPERATOR(pg_catalog.=) %(hash)s RETURNING b.control::pg_catalog.text;

-- name: tell
-- Somebody says how it shall go on.
UPDATE {schema}._pgyoyo_backfill AS b SET control = (b.control OPERATOR(pg_catalog.-) %(dropped)s::pg_catalog.text[]) OPERATOR(pg_catalog.||) %(given)s::pg_catalog.jsonb
WHERE b.migration_hash OPERATOR(pg_catalog.=) %(hash)s RETURNING b.control::pg_catalog.text;

-- name: autovacuum
-- The autovacuum that is at work on the table, and whether it prevents wraparound, for which it is not cancelled.
SELECT p.pid, a.query OPERATOR(pg_catalog.~~) '%%(to prevent wraparound)' FROM pg_catalog.pg_stat_progress_vacuum p
JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) p.pid
WHERE p.relid::bigint OPERATOR(pg_catalog.=) %(oid)s AND a.backend_type OPERATOR(pg_catalog.=) 'autovacuum worker' AND p.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
ORDER BY 2 DESC LIMIT 1;

-- name: autovacuum_comes
-- Whether an autovacuum comes for so many dead rows of a table (PostgreSQL's manual, "The Autovacuum Daemon").
SELECT pg_catalog.current_setting('autovacuum')::pg_catalog.bool AND pg_catalog.current_setting('track_counts')::pg_catalog.bool AND coalesce(o.enabled::pg_catalog.bool, true)
   AND %(gone)s::pg_catalog.float8 OPERATOR(pg_catalog.>) (coalesce(o.threshold, pg_catalog.current_setting('autovacuum_vacuum_threshold'))::pg_catalog.float8 OPERATOR(pg_catalog.+)
       (coalesce(o.share, pg_catalog.current_setting('autovacuum_vacuum_scale_factor'))::pg_catalog.float8 OPERATOR(pg_catalog.*) greatest(c.reltuples::pg_catalog.float8, 0)))
FROM pg_catalog.pg_class c CROSS JOIN LATERAL (
    SELECT pg_catalog.max(option_value) FILTER (WHERE option_name OPERATOR(pg_catalog.=) 'autovacuum_enabled') AS enabled,
           pg_catalog.max(option_value) FILTER (WHERE option_name OPERATOR(pg_catalog.=) 'autovacuum_vacuum_threshold') AS threshold,
           pg_catalog.max(option_value) FILTER (WHERE option_name OPERATOR(pg_catalog.=) 'autovacuum_vacuum_scale_factor') AS share
    FROM pg_catalog.pg_options_to_table(c.reloptions)
) o WHERE c.oid OPERATOR(pg_catalog.=) %(oid)s::pg_catalog.oid;

-- name: checkpoints
-- How many checkpoints were requested, and how far apart they shall be; seconds.
SELECT num_requested, (SELECT setting::pg_catalog.float8 FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'checkpoint_timeout')
FROM pg_catalog.pg_stat_checkpointer;

-- name: checkpoints_before_17
SELECT checkpoints_req, (SELECT setting::pg_catalog.float8 FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'checkpoint_timeout')
FROM pg_catalog.pg_stat_bgwriter;

-- name: clock
-- The time of the day in the time zone of the session, and that.
SELECT pg_catalog.to_char(pg_catalog.clock_timestamp(), 'HH24:MI'), pg_catalog.current_setting('TimeZone');

-- name: replicas
-- Standbys and subscribers: how far each has replayed and the server has written, as bytes of WAL, and the lag in seconds
-- that the replica's last reply made known. Programs that only receive WAL (pg_basebackup, pg_receivewal) replay nothing.
-- A role that may not see them (pg_monitor may) gets the rows, and all of their columns NULL.
SELECT coalesce(CASE WHEN application_name OPERATOR(pg_catalog.<>) '' THEN application_name END, client_addr::pg_catalog.text, pg_catalog.concat('pid ', pid)), state IS NULL AS hidden,
       pg_catalog.pg_wal_lsn_diff(replay_lsn, '0/0')::bigint, pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_flush_lsn(), '0/0')::bigint,
       coalesce(extract(epoch FROM replay_lag), 0)::pg_catalog.float8
FROM pg_catalog.pg_stat_replication WHERE state IS NULL OR (state OPERATOR(pg_catalog.=) 'catchup' OR state OPERATOR(pg_catalog.=) 'streaming') AND replay_lsn IS NOT NULL;

-- name: kept
-- WAL that the server has to keep for somebody: a slot, or the archiver; the most first.
SELECT pg_catalog.concat('slot ', slot_name, CASE WHEN active THEN '' ELSE ' (inactive)' END),
       pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), restart_lsn)::pg_catalog.float8 AS bytes
FROM pg_catalog.pg_replication_slots WHERE restart_lsn IS NOT NULL
UNION ALL
SELECT 'the archiver', greatest(0, pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), pg_walfile_start))::pg_catalog.float8
FROM (
    SELECT pg_catalog.concat('x', pg_catalog.substr(last_archived_wal, 9, 8))::bit(32)::bigint AS log,
           pg_catalog.concat('x', pg_catalog.substr(last_archived_wal, 17, 8))::bit(32)::bigint AS seg
    FROM pg_catalog.pg_stat_archiver
    WHERE pg_catalog.current_setting('archive_mode') OPERATOR(pg_catalog.<>) 'off' AND last_archived_wal OPERATOR(pg_catalog.~) '^[0-9A-F]{24}$'
) a, LATERAL (
    SELECT '0/0'::pg_catalog.pg_lsn OPERATOR(pg_catalog.+) ((a.log OPERATOR(pg_catalog.*) 4294967296) OPERATOR(pg_catalog.+) ((a.seg OPERATOR(pg_catalog.+) 1) OPERATOR(pg_catalog.*) (
        SELECT setting::bigint FROM pg_catalog.pg_settings WHERE name OPERATOR(pg_catalog.=) 'wal_segment_size')))::pg_catalog.numeric AS pg_walfile_start
) w
ORDER BY 2 DESC LIMIT 1;

-- name: oldest
-- The oldest transaction that keeps dead rows from being cleared away; seconds. Those of other databases keep none here.
SELECT pid, coalesce(CASE WHEN application_name OPERATOR(pg_catalog.<>) '' THEN application_name END, 'no application name'),
       extract(epoch FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) xact_start)::pg_catalog.float8
FROM pg_catalog.pg_stat_activity
WHERE backend_xmin IS NOT NULL AND datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
  AND pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid() AND xact_start IS NOT NULL AND backend_type OPERATOR(pg_catalog.=) 'client backend'
ORDER BY pg_catalog.age(backend_xmin) DESC LIMIT 1;
