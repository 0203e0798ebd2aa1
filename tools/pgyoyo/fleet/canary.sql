-- name: files
-- The file of each table and index that is there; another one later is a rewrite. Sent with pg_catalog as the search_path.
SELECT c.oid::int8, c.relfilenode::int8 FROM pg_class AS c
WHERE c.relkind IN ('r', 'p', 'm', 'i') AND c.relnamespace <> 'pg_catalog'::regnamespace;

-- name: position
SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END::text;

-- name: written
-- The bytes of WAL since then, and of the tables and indexes that were rewritten.
SELECT pg_wal_lsn_diff(
           CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END,
           %(before)s::pg_lsn)::int8,
       (SELECT coalesce(sum(pg_relation_size(c.oid)), 0)::int8 FROM pg_class AS c WHERE c.oid::int8 = ANY (%(tables)s::int8[]));

-- name: locks
-- The strong locks of a session on tables that were there before it began.
SELECT concat(quote_ident(n.nspname), '.', quote_ident(c.relname)),
       upper(regexp_replace(replace(l.mode, 'Lock', ''), '([a-z])([A-Z])', '\1 \2', 'g')), bool_and(l.granted)
FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE l.pid = %(pid)s AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
  AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
  AND c.relkind IN ('r', 'p', 'm') AND c.oid::int8 = ANY (%(known)s::int8[]) AND c.relname !~ '^_?(pg)?yoyo_'
GROUP BY 1, 2;

-- name: troubles
SELECT format('%%s waits for a lock since %%s s: %%s', coalesce(nullif(a.application_name, ''), format('pid %%s', a.pid)),
              round(extract(epoch FROM clock_timestamp() - a.query_start)), left(regexp_replace(a.query, '\s+', ' ', 'g'), 60))
FROM pg_stat_activity AS a
WHERE a.datname = current_database() AND a.wait_event_type = 'Lock'
UNION ALL
SELECT format('the index %%I.%%I is invalid', n.nspname, c.relname)
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND (%(schema)s::text IS NULL OR n.nspname = %(schema)s);
