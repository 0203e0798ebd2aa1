-- name: blockers
-- Who is in the way of session %(pid)s, each session once; all columns but the first may be NULL for a role without
-- pg_monitor and for background processes. The age is that of its transaction, in seconds. A prepared transaction has the
-- pid 0, and its name stands for the application's. An autovacuum is the only process with a database and without a role; it
-- can't be cancelled for us if it is to prevent wraparound, which its query says, or the age of the table.
WITH waiting AS (
    SELECT l.*, pg_catalog.concat_ws('/', l.locktype, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid, l.classid, l.objid) AS key
    FROM pg_catalog.pg_locks AS l
    WHERE l.pid OPERATOR(pg_catalog.=) %(pid)s::pg_catalog.int4 AND NOT l.granted
), holding AS (
    SELECT l.*, pg_catalog.concat_ws('/', l.locktype, l.relation, l.page, l.tuple, l.virtualxid, l.transactionid, l.classid, l.objid) AS key
    FROM pg_catalog.pg_locks AS l WHERE l.granted
)
(SELECT DISTINCT ON (a.pid) a.pid,
        CASE WHEN a.usename IS NULL AND a.datname IS NOT NULL THEN coalesce(a.backend_type, 'autovacuum worker')
             ELSE a.backend_type END,
        a.application_name, a.usename::pg_catalog.text, a.state,
        CASE WHEN a.query OPERATOR(pg_catalog.<>) '<insufficient privilege>'
             THEN pg_catalog.left(pg_catalog.regexp_replace(a.query, '\s+', ' ', 'g'), 80) END,
        pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) coalesce(a.xact_start, a.backend_start)),
        holding.mode, waiting.mode, coalesce(waiting.relation::pg_catalog.regclass::pg_catalog.text, waiting.locktype),
        coalesce(pg_catalog.strpos(a.query, 'to prevent wraparound') OPERATOR(pg_catalog.>) 0, false)
        OR coalesce(a.usename IS NULL AND pg_catalog.age(c.relfrozenxid)::pg_catalog.int8 OPERATOR(pg_catalog.>)
            pg_catalog.current_setting('autovacuum_freeze_max_age')::pg_catalog.int8, false)
 FROM waiting
 CROSS JOIN LATERAL pg_catalog.unnest(pg_catalog.pg_blocking_pids(waiting.pid)) AS blocker (pid)
 JOIN pg_catalog.pg_stat_activity AS a ON a.pid OPERATOR(pg_catalog.=) blocker.pid
 LEFT JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) waiting.relation AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,m,t}'::pg_catalog."char"[])
 LEFT JOIN holding ON holding.pid OPERATOR(pg_catalog.=) a.pid AND holding.key OPERATOR(pg_catalog.=) waiting.key
 ORDER BY a.pid, holding.mode)
UNION ALL
(SELECT 0, 'prepared transaction', p.gid, p.owner::pg_catalog.text, 'prepared', NULL,
        pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) p.prepared),
        holding.mode, waiting.mode, coalesce(waiting.relation::pg_catalog.regclass::pg_catalog.text, waiting.locktype), false
 FROM waiting
 JOIN holding ON holding.pid IS NULL AND holding.key OPERATOR(pg_catalog.=) waiting.key
 JOIN holding AS own ON own.pid IS NULL AND own.locktype OPERATOR(pg_catalog.=) 'transactionid'
  AND own.virtualtransaction OPERATOR(pg_catalog.=) holding.virtualtransaction
 JOIN pg_catalog.pg_prepared_xacts AS p ON p.transaction OPERATOR(pg_catalog.=) own.transactionid
 WHERE 0 OPERATOR(pg_catalog.=) ANY (pg_catalog.pg_blocking_pids(waiting.pid))
 ORDER BY p.prepared);

-- name: phase
-- What a long statement of session %(pid)s is doing, as the server's progress views have it, and how much of that phase is
-- done: two numbers, both 0 where it has no measure.
SELECT p.phase,
       CASE WHEN pg_catalog.strpos(p.phase, 'waiting') OPERATOR(pg_catalog.>) 0 THEN p.lockers_done
            WHEN p.blocks_total OPERATOR(pg_catalog.>) 0 THEN p.blocks_done ELSE p.tuples_done END,
       CASE WHEN pg_catalog.strpos(p.phase, 'waiting') OPERATOR(pg_catalog.>) 0 THEN p.lockers_total
            WHEN p.blocks_total OPERATOR(pg_catalog.>) 0 THEN p.blocks_total ELSE p.tuples_total END
FROM pg_catalog.pg_stat_progress_create_index AS p WHERE p.pid OPERATOR(pg_catalog.=) %(pid)s::pg_catalog.int4
UNION ALL
SELECT p.phase, p.heap_blks_scanned, p.heap_blks_total
FROM pg_catalog.pg_stat_progress_vacuum AS p WHERE p.pid OPERATOR(pg_catalog.=) %(pid)s::pg_catalog.int4
UNION ALL
SELECT p.phase, p.heap_blks_scanned, p.heap_blks_total
FROM pg_catalog.pg_stat_progress_cluster AS p WHERE p.pid OPERATOR(pg_catalog.=) %(pid)s::pg_catalog.int4;

-- name: runner
-- The session that holds the advisory lock %(key)s of a ledger in this database: a runner at work; what it runs, and since
-- when, in seconds. All but its pid may be NULL.
SELECT a.pid, a.application_name, a.usename::pg_catalog.text, a.state, pg_catalog.regexp_replace(a.query, '\s+', ' ', 'g'),
       pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) a.query_start)
FROM pg_catalog.pg_locks AS l JOIN pg_catalog.pg_stat_activity AS a ON a.pid OPERATOR(pg_catalog.=) l.pid
JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) l.database
WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.granted AND l.objsubid OPERATOR(pg_catalog.=) 1
  AND d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
  AND (l.classid::pg_catalog.int8 OPERATOR(pg_catalog.<<) 32 OPERATOR(pg_catalog.|) l.objid::pg_catalog.int8)
      OPERATOR(pg_catalog.=) %(key)s::pg_catalog.int8;
