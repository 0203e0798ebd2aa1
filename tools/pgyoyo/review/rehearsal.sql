-- The queries of a rehearsal between two statements. Names are qualified: the file may have set any search_path.
-- System objects have OIDs below 16384 (FirstNormalObjectId, access/transam.h).

-- name: state
-- The session's own locks on relations; scans and changed rows so far in this transaction, by table; catalog rows changed so
-- far; the WAL position; the lock_timeout in milliseconds. The counts include unflushed ones of earlier transactions, so only
-- their differences are meaningful.
SELECT
  (SELECT pg_catalog.jsonb_agg(DISTINCT pg_catalog.jsonb_build_array(l.relation::bigint, l.mode))
   FROM pg_catalog.pg_locks AS l
   WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted AND l.relation >= 16384) AS locks,
  (SELECT pg_catalog.jsonb_object_agg(s.relid::bigint, pg_catalog.jsonb_build_array(s.seq_scan, s.n_tup_ins, s.n_tup_upd, s.n_tup_del))
   FROM pg_catalog.pg_stat_xact_user_tables AS s
   WHERE s.seq_scan + s.n_tup_ins + s.n_tup_upd + s.n_tup_del > 0) AS counts,
  (SELECT pg_catalog.sum(s.n_tup_ins + s.n_tup_upd + s.n_tup_del)::bigint
   FROM pg_catalog.pg_stat_xact_sys_tables AS s WHERE s.schemaname = 'pg_catalog') AS catalog,
  pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::bigint AS wal,
  (EXTRACT(epoch FROM pg_catalog.current_setting('lock_timeout')::interval) * 1000)::bigint AS lock_timeout;

-- name: totals
-- The counts of `state` over all transactions that have ended.
SELECT pg_catalog.jsonb_object_agg(s.relid::bigint, pg_catalog.jsonb_build_array(s.seq_scan, s.n_tup_ins, s.n_tup_upd, s.n_tup_del))
FROM pg_catalog.pg_stat_user_tables AS s;

-- name: relations
-- All user relations but those of the ledger, with their files, and the table that an index is on, or the parent of a partition
-- or child.
SELECT c.oid::bigint, s.name || '.' || pg_catalog.quote_ident(c.relname) AS name, c.relkind::text, c.relfilenode::bigint,
       coalesce(i.indrelid, p.root)::bigint AS table, coalesce(i.indisvalid, true) AS valid
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
  SELECT CASE WHEN n.nspname ~ '^pg_temp_' THEN 'pg_temp' ELSE pg_catalog.quote_ident(n.nspname) END AS name
) AS s
LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
LEFT JOIN LATERAL (
  SELECT CASE WHEN c.relispartition THEN pg_catalog.pg_partition_root(c.oid)::oid ELSE min(h.inhparent) END AS root
  FROM pg_catalog.pg_inherits AS h WHERE h.inhrelid = c.oid
) AS p ON true
WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'i', 'I', 'm', 'v', 'f', 'S')
  AND n.nspname !~ '^pg_(toast|catalog)'
  AND c.relname !~ '^(_pgyoyo_.*|_yoyo_(migration|log|version).*|yoyo_lock.*)$';

-- name: watch
-- The locks of another session on relations, including the one that it waits for.
SELECT l.relation::bigint, l.mode
FROM pg_locks AS l
WHERE l.pid = %(pid)s AND l.locktype = 'relation' AND l.relation >= 16384;

-- name: tables_of
-- The tables with these names, or with indexes of these names, in any schema, and their kinds; without names, all.
SELECT DISTINCT t.oid::regclass::text, t.relkind::text
FROM pg_class AS c
JOIN pg_class AS t ON t.oid = coalesce((SELECT i.indrelid FROM pg_index AS i WHERE i.indexrelid = c.oid), c.oid)
WHERE CASE WHEN %(names)s::text[] IS NULL THEN t.relkind <> 'm' ELSE c.relname = ANY (%(names)s) END
  AND c.oid >= 16384 AND t.relkind IN ('r', 'p', 'm') AND t.relpersistence <> 't'
  AND t.relname !~ '^(_pgyoyo_.*|_yoyo_(migration|log|version).*|yoyo_lock.*)$'
ORDER BY 1;
