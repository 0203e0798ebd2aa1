-- All that a review reads from the target. Sizes need a lock that a schema change may block: they are not waited for.

-- name: tables
-- The tables and materialized views with these names, or all: rows as the planner estimates them, sizes, and the oldest
-- transaction and longest query on each. `exact` asks for sizes that need a lock, and so for the rows that fill as many pages as
-- there are now (plancat.c, estimate_rel_size); else they are those of the last VACUUM.
SELECT w.name,
       CASE WHEN w.relkind = 'p' THEN p.rows ELSE w.rows END::bigint AS rows,
       CASE WHEN w.relkind = 'p' THEN p.size ELSE w.size END::bigint AS size,
       (SELECT count(*) FROM pg_index AS i WHERE i.indrelid = w.oid)::integer AS indexes,
       CASE WHEN w.relkind = 'p' THEN p.index_size ELSE w.index_size END::bigint AS index_size,
       a.transaction, a.query
FROM (
  SELECT c.oid, c.relkind, concat(quote_ident(n.nspname), '.', quote_ident(c.relname)) AS name,
         CASE WHEN c.relpages > 0 AND c.reltuples >= 0 AND %(exact)s::boolean AND c.relkind <> 'p'
              THEN c.reltuples / c.relpages * (pg_relation_size(c.oid) / s.block)
              WHEN c.reltuples >= 0 THEN c.reltuples ELSE nullif(pg_stat_get_live_tuples(c.oid), 0) END AS rows,
         CASE WHEN c.relkind = 'p' THEN NULL WHEN %(exact)s::boolean THEN pg_table_size(c.oid)
              ELSE s.block * (c.relpages + coalesce((SELECT t.relpages FROM pg_class AS t WHERE t.oid = c.reltoastrelid), 0))
         END AS size,
         CASE WHEN c.relkind = 'p' THEN NULL WHEN %(exact)s::boolean THEN pg_indexes_size(c.oid)
              ELSE s.block * (SELECT coalesce(sum(x.relpages), 0) FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid
                              WHERE i.indrelid = c.oid)
         END AS index_size
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  CROSS JOIN (SELECT current_setting('block_size')::bigint AS block) AS s
  WHERE c.relkind IN ('r', 'p', 'm') AND c.relpersistence <> 't' AND n.nspname !~ '^(pg_|information_schema$)'
    AND c.relname !~ '^(_pgyoyo_.*|_yoyo_(migration|log|version).*|yoyo_lock.*)$' AND c.relname <> %(ledger)s
    AND (%(schemas)s::text[] IS NULL OR n.nspname::text = ANY (%(schemas)s::text[]))
    AND (%(names)s::text[] IS NULL OR concat(quote_ident(n.nspname), '.', quote_ident(c.relname)) = ANY (%(names)s::text[]))
) AS w
LEFT JOIN LATERAL (
  SELECT sum(greatest(l.reltuples, pg_stat_get_live_tuples(l.oid), 0)) AS rows,
         sum(CASE WHEN %(exact)s::boolean THEN pg_table_size(l.oid) ELSE s.block * l.relpages END) AS size,
         sum(CASE WHEN %(exact)s::boolean THEN pg_indexes_size(l.oid)
                  ELSE s.block * (SELECT coalesce(sum(x.relpages), 0) FROM pg_index AS i JOIN pg_class AS x ON x.oid = i.indexrelid
                                  WHERE i.indrelid = l.oid) END) AS index_size
  FROM pg_partition_tree(w.oid) AS t JOIN pg_class AS l ON l.oid = t.relid
  CROSS JOIN (SELECT current_setting('block_size')::bigint AS block) AS s
  WHERE t.isleaf
) AS p ON w.relkind = 'p'
LEFT JOIN LATERAL (
  SELECT extract(epoch FROM max(clock_timestamp() - s.xact_start))::float8 AS transaction,
         extract(epoch FROM max(clock_timestamp() - s.query_start) FILTER (WHERE s.state = 'active'))::float8 AS query
  FROM pg_locks AS l JOIN pg_stat_activity AS s USING (pid)
  WHERE l.relation = w.oid AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND s.pid <> pg_backend_pid()
) AS a ON %(activity)s::boolean
ORDER BY w.name;

-- name: activity
-- The oldest transaction and the longest running query of the database now.
SELECT extract(epoch FROM max(clock_timestamp() - s.xact_start))::float8,
       extract(epoch FROM max(clock_timestamp() - s.query_start) FILTER (WHERE s.state = 'active'))::float8
FROM pg_stat_activity AS s
WHERE s.datname = current_database() AND s.pid <> pg_backend_pid() AND s.backend_type = 'client backend';
