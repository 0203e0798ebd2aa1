-- All that a review reads from the target. Sizes need a lock that a schema change may block: they are not waited for.

-- name: tables
-- The tables with these names: rows as the planner estimates them, sizes, and the oldest transaction and longest query on each.
SELECT n.name, c.oid IS NOT NULL AS here,
       CASE WHEN c.relkind = 'p' THEN p.rows WHEN c.reltuples >= 0 THEN c.reltuples END::bigint AS rows,
       CASE WHEN c.relkind = 'p' THEN p.size ELSE pg_table_size(c.oid) END::bigint AS size,
       (SELECT count(*) FROM pg_index AS i WHERE i.indrelid = c.oid)::integer AS indexes,
       CASE WHEN c.relkind = 'p' THEN p.index_size ELSE pg_indexes_size(c.oid) END::bigint AS index_size,
       a.transaction, a.query
FROM unnest(%(names)s::text[]) AS n (name)
LEFT JOIN pg_class AS c ON c.oid = to_regclass(n.name)
LEFT JOIN LATERAL (
  SELECT sum(greatest(l.reltuples, 0)) AS rows, sum(pg_table_size(l.oid)) AS size, sum(pg_indexes_size(l.oid)) AS index_size
  FROM pg_partition_tree(c.oid) AS t JOIN pg_class AS l ON l.oid = t.relid
  WHERE t.isleaf
) AS p ON c.relkind = 'p'
LEFT JOIN LATERAL (
  SELECT extract(epoch FROM max(clock_timestamp() - s.xact_start))::float8 AS transaction,
         extract(epoch FROM max(clock_timestamp() - s.query_start) FILTER (WHERE s.state = 'active'))::float8 AS query
  FROM pg_locks AS l JOIN pg_stat_activity AS s USING (pid)
  WHERE l.relation = c.oid AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND s.pid <> pg_backend_pid()
) AS a ON true;

-- name: activity
-- The oldest transaction and the longest running query of the database now.
SELECT extract(epoch FROM max(clock_timestamp() - s.xact_start))::float8,
       extract(epoch FROM max(clock_timestamp() - s.query_start) FILTER (WHERE s.state = 'active'))::float8
FROM pg_stat_activity AS s
WHERE s.datname = current_database() AND s.pid <> pg_backend_pid() AND s.backend_type = 'client backend';
