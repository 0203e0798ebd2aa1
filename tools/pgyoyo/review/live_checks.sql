-- What a review asks of the target beyond sizes. All of it is read in READ ONLY transactions with short timeouts.

-- name: tables
-- The tables with these names: columns by name with type, modifier and NOT NULL; the primary key; indexes that are invalid;
-- constraints that are not validated, with what a foreign key points to. The type is empty where its operators may not be
-- PostgreSQL's own. `checks` asks for the text of CHECKs, which needs a lock.
SELECT w.nspname, w.relname,
  (SELECT jsonb_object_agg(a.attname, jsonb_build_array(
            CASE WHEN t.typtype = 'e' OR t.typnamespace = 'pg_catalog'::regnamespace THEN t.typname ELSE '' END,
            a.atttypmod, a.attnotnull))
   FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
   WHERE a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
  ARRAY(SELECT a.attname::text FROM pg_index AS i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k (num, place)
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.num
        WHERE i.indrelid = w.oid AND i.indisprimary ORDER BY k.place) AS key,
  ARRAY(SELECT quote_ident(c.relname) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE i.indrelid = w.oid AND NOT i.indisvalid AND c.relkind = 'i' ORDER BY 1) AS invalid,
  (SELECT coalesce(jsonb_agg(jsonb_build_object(
            'name', k.conname, 'kind', k.contype, 'check',
            CASE WHEN %(checks)s THEN pg_get_expr(k.conbin, k.conrelid) END, 'full', k.confmatchtype = 'f',
            'columns', ARRAY(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY AS u (num, place)
                             JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.place),
            'parent', (SELECT jsonb_build_array(n.nspname, c.relname) FROM pg_class AS c
                       JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = k.confrelid),
            'targets', ARRAY(SELECT a.attname FROM unnest(k.confkey) WITH ORDINALITY AS u (num, place)
                             JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY u.place)
          ) ORDER BY k.conname), '[]')
   FROM pg_constraint AS k WHERE k.conrelid = w.oid AND NOT k.convalidated) AS unvalidated
FROM (
  SELECT c.oid, n.nspname, c.relname
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  JOIN unnest(%(schemas)s::text[], %(names)s::text[]) AS v (schema, name) ON n.nspname = v.schema AND c.relname = v.name
  WHERE c.relkind IN ('r', 'p', 'm', 'f')
) AS w;

-- name: vacuums
-- The tables that a VACUUM works on now: its phase, since when (seconds), and whether it is an autovacuum against wraparound.
SELECT n.nspname, c.relname, p.phase,
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8,
       a.backend_type = 'autovacuum worker', coalesce(a.query LIKE '%%(to prevent wraparound)', false)
FROM pg_stat_progress_vacuum AS p
JOIN pg_class AS c ON c.oid = p.relid JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_stat_activity AS a ON a.pid = p.pid
WHERE p.datname = current_database();

-- name: replicas
-- The standbys that are connected: name, state, bytes and seconds behind; null where the role may not see them.
SELECT coalesce(nullif(r.application_name, ''), host(r.client_addr), 'unnamed'), r.state,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, r.replay_lsn)::bigint,
       extract(epoch FROM r.replay_lag)::float8
FROM pg_stat_replication AS r
ORDER BY 1;
