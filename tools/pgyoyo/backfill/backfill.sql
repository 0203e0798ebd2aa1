-- name: tables
-- The tables that an UPDATE of a table reaches, itself first and then its partitions and children by oid, each with what
-- decides whether their rows can be updated in batches. {columns} are those that are set, {functions} what its WHERE calls.
WITH RECURSIVE tree AS (
    SELECT pg_catalog.to_regclass(%(table)s::pg_catalog.text)::pg_catalog.oid AS oid, 0 AS level
    UNION
    SELECT i.inhrelid, level OPERATOR(pg_catalog.+) 1 FROM tree JOIN pg_catalog.pg_inherits i ON i.inhparent OPERATOR(pg_catalog.=) tree.oid AND NOT %(only)s
)
SELECT c.oid::bigint, c.oid::pg_catalog.regclass::pg_catalog.text AS name, c.relname::pg_catalog.text, c.relkind::pg_catalog.text AS kind, am.amname::pg_catalog.text AS method,
       pg_catalog.pg_relation_filenode(c.oid)::bigint AS filenode,
       CASE WHEN c.relkind OPERATOR(pg_catalog.=) 'r' THEN pg_catalog.pg_relation_size(c.oid) OPERATOR(pg_catalog./) pg_catalog.current_setting('block_size')::int ELSE 0 END AS pages,
       pg_catalog.row_security_active(c.oid) AS secured,
       (SELECT pg_catalog.min(rulename::pg_catalog.text) FROM pg_catalog.pg_rewrite
        WHERE ev_class OPERATOR(pg_catalog.=) c.oid AND ev_type OPERATOR(pg_catalog.=) '2' AND ev_enabled OPERATOR(pg_catalog.<>) 'D' AND c.relkind OPERATOR(pg_catalog.<>) 'v') AS rule,
       ARRAY(SELECT tgname::pg_catalog.text FROM pg_catalog.pg_trigger
             WHERE tgrelid OPERATOR(pg_catalog.=) c.oid AND NOT tgisinternal AND (tgenabled OPERATOR(pg_catalog.=) 'O' OR tgenabled OPERATOR(pg_catalog.=) 'A') AND tgtype OPERATOR(pg_catalog.&) 16::pg_catalog.int2 OPERATOR(pg_catalog.<>) 0
             ORDER BY tgname) AS triggers,
       ARRAY(SELECT pg_catalog.pg_get_triggerdef(t.oid) FROM pg_catalog.pg_trigger t
             WHERE tgrelid OPERATOR(pg_catalog.=) c.oid AND NOT tgisinternal AND tgqual IS NOT NULL AND (tgenabled OPERATOR(pg_catalog.=) 'O' OR tgenabled OPERATOR(pg_catalog.=) 'A')
               AND tgtype OPERATOR(pg_catalog.&) 16::pg_catalog.int2 OPERATOR(pg_catalog.<>) 0 ORDER BY tgname) AS definitions,
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
       (SELECT pg_catalog.min(p.proname::pg_catalog.text) FROM pg_catalog.pg_proc p
        WHERE p.proname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (%(functions)s::pg_catalog.text[]) AND p.provolatile OPERATOR(pg_catalog.=) 'v' AND pg_catalog.pg_function_is_visible(p.oid)) AS volatile
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
RETURNING checksum, finished, relation::bigint, filenode::bigint, high, zone_start, zone_end, turn, page, rows, batches,
    worked, longest_batch, longest_wait, wal::pg_catalog.float8, heap_before, indexes_before, pg_catalog.pg_current_wal_lsn()::pg_catalog.text AS lsn;

-- name: save
-- Where it is, written in the transaction of the batch; the longest that anybody waits for this transaction, too, which is
-- about to end.
UPDATE {schema}._pgyoyo_backfill SET
    updated_at = pg_catalog.clock_timestamp(), finished = %(finished)s, relation = %(relation)s, filenode = %(filenode)s,
    high = %(high)s, zone_start = %(zone_start)s, zone_end = %(zone_end)s, turn = %(turn)s, page = %(page)s,
    rows = %(rows)s, batches = %(batches)s, worked = %(worked)s, fraction = %(fraction)s,
    longest_batch = %(longest_batch)s, wal = %(wal)s OPERATOR(pg_catalog.+) pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), %(lsn)s)::pg_catalog.float8,
    heap_before = %(heap_before)s, indexes_before = %(indexes_before)s,
    longest_wait = greatest(%(longest_wait)s, (
        SELECT extract(epoch FROM pg_catalog.max(pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) waitstart))::pg_catalog.float8 FROM pg_catalog.pg_locks
        WHERE NOT granted AND (locktype OPERATOR(pg_catalog.=) 'transactionid' AND transactionid OPERATOR(pg_catalog.=) pg_catalog.pg_current_xact_id()::pg_catalog.xid
            OR locktype OPERATOR(pg_catalog.=) 'tuple' AND relation OPERATOR(pg_catalog.=) %(relation)s::pg_catalog.oid)))
WHERE migration_hash OPERATOR(pg_catalog.=) %(hash)s
RETURNING longest_wait, wal;

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
-- The oldest transaction that keeps dead rows from being cleared away; seconds.
SELECT pid, coalesce(CASE WHEN application_name OPERATOR(pg_catalog.<>) '' THEN application_name END, 'no application name'),
       extract(epoch FROM pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) xact_start)::pg_catalog.float8
FROM pg_catalog.pg_stat_activity
WHERE backend_xmin IS NOT NULL AND pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid() AND xact_start IS NOT NULL AND backend_type OPERATOR(pg_catalog.=) 'client backend'
ORDER BY pg_catalog.age(backend_xmin) DESC LIMIT 1;
