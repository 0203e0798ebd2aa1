-- name: tables
-- The tables that an UPDATE of a table reaches, itself first and then its partitions and children by oid, each with what
-- decides whether their rows can be updated in batches. {columns} are those that are set, {functions} what its WHERE calls.
WITH RECURSIVE tree AS (
    SELECT to_regclass(%(table)s)::oid AS oid, 0 AS level
    UNION
    SELECT i.inhrelid, level + 1 FROM tree JOIN pg_inherits i ON i.inhparent = tree.oid AND NOT %(only)s
)
SELECT c.oid::bigint, c.oid::regclass::text AS name, c.relname::text, c.relkind::text AS kind, am.amname::text AS method,
       pg_relation_filenode(c.oid)::bigint AS filenode,
       CASE WHEN c.relkind = 'r' THEN pg_relation_size(c.oid) / current_setting('block_size')::int ELSE 0 END AS pages,
       row_security_active(c.oid) AS secured,
       (SELECT min(rulename::text) FROM pg_rewrite
        WHERE ev_class = c.oid AND ev_type = '2' AND ev_enabled <> 'D' AND c.relkind <> 'v') AS rule,
       ARRAY(SELECT tgname::text FROM pg_trigger
             WHERE tgrelid = c.oid AND NOT tgisinternal AND tgenabled IN ('O', 'A') AND tgtype & 16 <> 0
             ORDER BY tgname) AS triggers,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
               AND a.attname <> ALL (%(columns)s) ORDER BY a.attnum) AS others,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnotnull AND NOT a.attisdropped) AS not_null,
       ARRAY(SELECT a.attname::text FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attname = ANY (%(columns)s) AND (
                 EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisreplident)
                         AND a.attnum = ANY (i.indkey))
                 OR EXISTS (SELECT FROM pg_partitioned_table p WHERE p.partrelid = c.oid AND a.attnum = ANY (p.partattrs))
             )) AS keys,
       EXISTS (SELECT FROM pg_constraint k JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = ANY (%(columns)s)
               WHERE k.contype = 'f' AND k.conrelid = c.oid AND a.attnum = ANY (k.conkey)) AS references_others,
       (SELECT min(p.proname::text) FROM pg_proc p
        WHERE p.proname = ANY (%(functions)s) AND p.provolatile = 'v' AND pg_function_is_visible(p.oid)) AS volatile
FROM tree JOIN pg_class c ON c.oid = tree.oid LEFT JOIN pg_am am ON am.oid = c.relam
ORDER BY tree.level > 0, c.oid;

-- name: view_of
-- Whether a view reads one of the tables.
WITH RECURSIVE below AS (
    SELECT to_regclass(%(view)s)::oid AS oid
    UNION
    SELECT d.refobjid FROM below JOIN pg_rewrite r ON r.ev_class = below.oid
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
)
SELECT EXISTS (SELECT FROM below JOIN pg_class c USING (oid) WHERE oid::bigint = ANY (%(tables)s));

-- name: state
-- A table as it is now.
SELECT pg_relation_filenode(c.oid)::bigint, pg_relation_size(c.oid) / current_setting('block_size')::int,
       pg_relation_size(c.oid), pg_indexes_size(c.oid)
FROM pg_class c WHERE c.oid = %(oid)s;

-- name: others_wrote
-- How many rows this transaction has written by now, table by table: what triggers and functions did besides.
SELECT relid::bigint, relid::regclass::text, n_tup_ins + n_tup_upd + n_tup_del FROM pg_stat_xact_user_tables
WHERE n_tup_ins + n_tup_upd + n_tup_del > 0;

-- name: is_superuser
-- Whether this role may set anything.
SELECT rolsuper FROM pg_roles WHERE rolname = current_user;

-- name: may_skip_triggers
-- Whether this role may set session_replication_role; from PostgreSQL 15 on.
SELECT has_parameter_privilege('session_replication_role', 'SET');

-- name: begin
-- A backfill begins.
INSERT INTO {schema}._pgyoyo_backfill AS b (migration_hash, migration_id, checksum, pid)
VALUES (%(hash)s, %(id)s, %(checksum)s, pg_backend_pid());

-- name: resume
-- It goes on, perhaps in another session.
UPDATE {schema}._pgyoyo_backfill SET pid = pg_backend_pid(), updated_at = clock_timestamp() WHERE migration_hash = %(hash)s
RETURNING checksum, finished, relation::bigint, filenode::bigint, high, zone_start, zone_end, turn, page, rows, batches,
    worked, longest_batch, longest_wait, wal::float8, heap_before, indexes_before, pg_current_wal_lsn()::text AS lsn;

-- name: save
-- Where it is, written in the transaction of the batch; the longest that anybody waits for this transaction, too, which is
-- about to end.
UPDATE {schema}._pgyoyo_backfill SET
    updated_at = clock_timestamp(), finished = %(finished)s, relation = %(relation)s, filenode = %(filenode)s,
    high = %(high)s, zone_start = %(zone_start)s, zone_end = %(zone_end)s, turn = %(turn)s, page = %(page)s,
    rows = %(rows)s, batches = %(batches)s, worked = %(worked)s, fraction = %(fraction)s,
    longest_batch = %(longest_batch)s, wal = %(wal)s + pg_wal_lsn_diff(pg_current_wal_lsn(), %(lsn)s), heap_before = %(heap_before)s, indexes_before = %(indexes_before)s,
    longest_wait = greatest(%(longest_wait)s, (
        SELECT extract(epoch FROM max(clock_timestamp() - waitstart))::float8 FROM pg_locks
        WHERE NOT granted AND (locktype = 'transactionid' AND transactionid = pg_current_xact_id()::xid
            OR locktype = 'tuple' AND relation = %(relation)s)))
WHERE migration_hash = %(hash)s
RETURNING longest_wait, wal;

-- name: replicas
-- Standbys and subscribers: how far each has replayed and the server has written, as bytes of WAL, and the lag in seconds
-- that the replica's last reply made known. Programs that only receive WAL (pg_basebackup, pg_receivewal) replay nothing.
-- A role that may not see them (pg_monitor may) gets the rows, and all of their columns NULL.
SELECT coalesce(nullif(application_name, ''), client_addr::text, 'pid ' || pid), state IS NULL AS hidden,
       pg_wal_lsn_diff(replay_lsn, '0/0')::bigint, pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0')::bigint,
       coalesce(extract(epoch FROM replay_lag), 0)::float8
FROM pg_stat_replication WHERE state IS NULL OR state IN ('catchup', 'streaming') AND replay_lsn IS NOT NULL;

-- name: kept
-- WAL that the server has to keep for somebody: a slot, or the archiver; the most first.
SELECT 'slot ' || slot_name || CASE WHEN active THEN '' ELSE ' (inactive)' END,
       pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::float8 AS bytes
FROM pg_replication_slots WHERE restart_lsn IS NOT NULL
UNION ALL
SELECT 'the archiver', greatest(0, pg_wal_lsn_diff(pg_current_wal_lsn(), pg_walfile_start))::float8
FROM (
    SELECT ('x' || substr(last_archived_wal, 9, 8))::bit(32)::bigint AS log, ('x' || substr(last_archived_wal, 17, 8))::bit(32)::bigint AS seg
    FROM pg_stat_archiver
    WHERE current_setting('archive_mode') <> 'off' AND last_archived_wal ~ '^[0-9A-F]{24}$'
) a, LATERAL (
    SELECT '0/0'::pg_lsn + (a.log * 4294967296 + (a.seg + 1) * (SELECT setting::bigint FROM pg_settings WHERE name = 'wal_segment_size')) AS pg_walfile_start
) w
ORDER BY 2 DESC LIMIT 1;

-- name: oldest
-- The oldest transaction that keeps dead rows from being cleared away; seconds.
SELECT pid, coalesce(nullif(application_name, ''), 'no application name'),
       extract(epoch FROM clock_timestamp() - xact_start)::float8
FROM pg_stat_activity
WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid() AND xact_start IS NOT NULL AND backend_type = 'client backend'
ORDER BY age(backend_xmin) DESC LIMIT 1;
