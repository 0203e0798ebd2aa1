-- The queries of a rehearsal between two statements. Names are qualified: the file may have set any search_path.
-- System objects have OIDs below 16384 (FirstNormalObjectId, access/transam.h).

-- name: state
-- The session's own locks on relations; scans and changed rows so far in this transaction, by table; catalog rows changed so
-- far; the WAL position; the lock_timeout in milliseconds. The counts include unflushed ones of earlier transactions, so only
-- their differences are meaningful. The functions behind pg_stat_xact_all_tables: the view takes three times as long.
WITH counted AS MATERIALIZED (
  SELECT c.oid, c.relnamespace OPERATOR(pg_catalog.=) 'pg_catalog'::pg_catalog.regnamespace::pg_catalog.oid AS is_catalog,
    pg_catalog.pg_stat_get_xact_numscans(c.oid) AS scans, pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) AS inserted,
    pg_catalog.pg_stat_get_xact_tuples_updated(c.oid) AS updated, pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) AS deleted
  FROM pg_catalog.pg_class AS c
  WHERE c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'm', 'p']::pg_catalog."char"[])
    AND c.relnamespace OPERATOR(pg_catalog.<>) 'information_schema'::pg_catalog.regnamespace::pg_catalog.oid
), used AS (
  SELECT t.*, coalesce((
      SELECT pg_catalog.sum(pg_catalog.pg_stat_get_xact_numscans(i.indexrelid))
      FROM pg_catalog.pg_index AS i WHERE i.indrelid OPERATOR(pg_catalog.=) t.oid), 0)::bigint AS index_scans
  FROM counted AS t WHERE NOT t.is_catalog
)
SELECT
  (SELECT pg_catalog.jsonb_agg(DISTINCT pg_catalog.jsonb_build_array(l.relation::bigint, l.mode))
   FROM pg_catalog.pg_locks AS l
   WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND l.locktype OPERATOR(pg_catalog.=) 'relation' AND l.granted AND l.relation OPERATOR(pg_catalog.>=) 16384) AS locks,
  (SELECT pg_catalog.jsonb_object_agg(t.oid::bigint, pg_catalog.jsonb_build_array(t.scans, t.index_scans, t.inserted, t.updated, t.deleted))
   FROM used AS t
   WHERE t.scans OPERATOR(pg_catalog.+) t.index_scans OPERATOR(pg_catalog.+) t.inserted OPERATOR(pg_catalog.+) t.updated OPERATOR(pg_catalog.+) t.deleted OPERATOR(pg_catalog.>) 0) AS counts,
  (SELECT pg_catalog.sum(t.inserted OPERATOR(pg_catalog.+) t.updated OPERATOR(pg_catalog.+) t.deleted)::bigint
   FROM counted AS t WHERE t.is_catalog) AS catalog,
  pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), '0/0')::bigint AS wal,
  (EXTRACT(epoch FROM pg_catalog.current_setting('lock_timeout')::interval) OPERATOR(pg_catalog.*) 1000::pg_catalog.numeric)::bigint AS lock_timeout;

-- name: totals
-- The counts of `state` over all transactions that have ended.
SELECT pg_catalog.jsonb_object_agg(s.relid::bigint, pg_catalog.jsonb_build_array(s.seq_scan, coalesce(s.idx_scan, 0), s.n_tup_ins, s.n_tup_upd, s.n_tup_del))
FROM pg_catalog.pg_stat_user_tables AS s;

-- name: relations
-- All user relations but those of the ledger, with their files, and the table that an index is on, or the parent of a partition
-- or child.
SELECT c.oid::bigint, pg_catalog.concat(s.name, '.', pg_catalog.quote_ident(c.relname)) AS name, c.relkind::pg_catalog.text, c.relfilenode::bigint,
       coalesce(i.indrelid, p.root)::bigint AS table, coalesce(i.indisvalid, true) AS valid
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
CROSS JOIN LATERAL (
  SELECT CASE WHEN n.nspname OPERATOR(pg_catalog.~) '^pg_temp_' THEN 'pg_temp' ELSE pg_catalog.quote_ident(n.nspname) END AS name
) AS s
LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid OPERATOR(pg_catalog.=) c.oid
LEFT JOIN LATERAL (
  SELECT CASE WHEN c.relispartition THEN pg_catalog.pg_partition_root(c.oid)::pg_catalog.oid ELSE pg_catalog.min(h.inhparent) END AS root
  FROM pg_catalog.pg_inherits AS h WHERE h.inhrelid OPERATOR(pg_catalog.=) c.oid
) AS p ON true
WHERE c.oid OPERATOR(pg_catalog.>=) 16384 AND c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p', 'i', 'I', 'm', 'v', 'f', 'S']::pg_catalog."char"[])
  AND n.nspname OPERATOR(pg_catalog.!~) '^pg_(toast|catalog)'
  AND c.relname OPERATOR(pg_catalog.!~) '^(_pgyoyo_.*|_yoyo_(migration|log|version).*|yoyo_lock.*)$';

-- name: watch
-- The locks of another session on relations, including the one that it waits for.
SELECT l.relation::bigint, l.mode
FROM pg_catalog.pg_locks AS l
WHERE l.pid OPERATOR(pg_catalog.=) %(pid)s::pg_catalog.int4 AND l.locktype OPERATOR(pg_catalog.=) 'relation' AND l.relation OPERATOR(pg_catalog.>=) 16384;

-- name: tables_of
-- The tables with these names, or with indexes of these names, in any schema, and their kinds; without names, all.
SELECT DISTINCT t.oid::pg_catalog.regclass::pg_catalog.text, t.relkind::pg_catalog.text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_class AS t ON t.oid OPERATOR(pg_catalog.=) coalesce((SELECT i.indrelid FROM pg_catalog.pg_index AS i WHERE i.indexrelid OPERATOR(pg_catalog.=) c.oid), c.oid)
WHERE CASE WHEN %(names)s::pg_catalog.text[] IS NULL THEN t.relkind OPERATOR(pg_catalog.<>) 'm' ELSE c.relname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (%(names)s) END
  AND c.oid OPERATOR(pg_catalog.>=) 16384 AND t.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p', 'm']::pg_catalog."char"[]) AND t.relpersistence OPERATOR(pg_catalog.<>) 't'
  AND t.relname OPERATOR(pg_catalog.!~) '^(_pgyoyo_.*|_yoyo_(migration|log|version).*|yoyo_lock.*)$'
ORDER BY 1;
