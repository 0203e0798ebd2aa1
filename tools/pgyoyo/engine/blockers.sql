-- name: blockers
-- Who is in the way of session %(pid)s, each session once; all columns but the first may be NULL for a role without
-- pg_monitor and for background processes. The age is that of its transaction, in seconds.
SELECT DISTINCT ON (a.pid) a.pid, a.backend_type, CASE WHEN a.application_name OPERATOR(pg_catalog.<>) '' THEN a.application_name END, a.usename::pg_catalog.text, a.state,
       pg_catalog.left(pg_catalog.regexp_replace(a.query, '\s+', ' ', 'g'), 80),
       pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) coalesce(a.xact_start, a.backend_start)),
       held.mode, waiting.mode, coalesce(waiting.relation::pg_catalog.regclass::pg_catalog.text, waiting.locktype)
FROM pg_catalog.pg_locks AS waiting
CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(waiting.pid)) AS blocker (pid)
JOIN pg_catalog.pg_stat_activity AS a ON a.pid OPERATOR(pg_catalog.=) blocker.pid
LEFT JOIN pg_catalog.pg_locks AS held
  ON held.pid OPERATOR(pg_catalog.=) a.pid AND held.granted AND held.locktype OPERATOR(pg_catalog.=) waiting.locktype
  AND coalesce(held.relation, 0::pg_catalog.oid) OPERATOR(pg_catalog.=) coalesce(waiting.relation, 0::pg_catalog.oid)
WHERE waiting.pid OPERATOR(pg_catalog.=) %(pid)s::pg_catalog.int4 AND NOT waiting.granted
ORDER BY a.pid, held.mode;
