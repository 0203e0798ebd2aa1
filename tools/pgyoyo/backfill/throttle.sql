-- What a backfill waits for.

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
