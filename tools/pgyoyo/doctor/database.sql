-- name: rights
-- What the current role may not do to the ledger %(table)s of schema %(schema)s (quoted where needed), with the grant that is missing.
SELECT pg_catalog.concat('this role may not create the ledger in schema ', n.name),
       pg_catalog.concat('GRANT USAGE, CREATE ON SCHEMA ', n.name, ' TO ', pg_catalog.quote_ident(current_user))
FROM (SELECT s.oid, pg_catalog.quote_ident(s.nspname) AS name FROM pg_catalog.pg_namespace AS s) AS n
WHERE n.name OPERATOR(pg_catalog.=) %(schema)s AND NOT pg_catalog.has_schema_privilege(n.oid, 'CREATE')
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace OPERATOR(pg_catalog.=) n.oid AND c.relname OPERATOR(pg_catalog.=) '_pgyoyo_migration')
UNION ALL
SELECT pg_catalog.concat('this role may not ', right_name, ' ', n.name, '.', c.relname),
       pg_catalog.concat('GRANT SELECT, INSERT, UPDATE, DELETE ON ', n.name, '.', c.relname, ' TO ',
                         pg_catalog.quote_ident(current_user))
FROM (SELECT s.oid, pg_catalog.quote_ident(s.nspname) AS name FROM pg_catalog.pg_namespace AS s) AS n
JOIN pg_catalog.pg_class AS c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid AND c.relname OPERATOR(pg_catalog.=) ANY (ARRAY[
    %(table)s, '_yoyo_log', 'yoyo_lock', '_pgyoyo_migration', '_pgyoyo_journal', '_pgyoyo_backfill']::pg_catalog.name[])
CROSS JOIN LATERAL (
    SELECT pg_catalog.string_agg(r.name, ', ') AS right_name FROM pg_catalog.unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS r (name)
    WHERE NOT pg_catalog.has_table_privilege(c.oid, r.name)
) AS missing
WHERE n.name OPERATOR(pg_catalog.=) %(schema)s AND right_name IS NOT NULL;

-- name: strangers
-- Tables whose owner the current role is no member of, by owner: ALTER TABLE needs that.
SELECT pg_catalog.quote_ident(r.rolname), pg_catalog.count(*), pg_catalog.min(pg_catalog.concat(n.nspname, '.', c.relname)),
  pg_catalog.quote_ident(CURRENT_USER)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) c.relowner
WHERE c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p']::pg_catalog."char"[])
  AND pg_catalog.left(n.nspname::pg_catalog.text, 3) OPERATOR(pg_catalog.<>) 'pg_'
  AND n.nspname OPERATOR(pg_catalog.<>) 'information_schema'
  AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) c.oid
      AND d.deptype OPERATOR(pg_catalog.=) 'e')
GROUP BY r.rolname ORDER BY r.rolname;

-- name: shadows
-- Other schemas that hold a ledger of yoyo's.
SELECT pg_catalog.quote_ident(n.nspname)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.relname OPERATOR(pg_catalog.=) %(table)s::pg_catalog.name AND c.relpersistence OPERATOR(pg_catalog.<>) 't'
  AND coalesce(pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.<>) %(schema)s::pg_catalog.text, true)
ORDER BY n.nspname;

-- name: waiting
-- Sessions of this database that wait for a lock, and for whom.
SELECT a.pid, a.usename::pg_catalog.text,
       coalesce(pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) a.query_start), 0),
       coalesce(pg_catalog.left(pg_catalog.regexp_replace(a.query, '\s+', ' ', 'g'), 60), ''),
       pg_catalog.array_to_string(pg_catalog.pg_blocking_pids(a.pid), ', ')
FROM pg_catalog.pg_stat_activity AS a
WHERE a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database() AND a.wait_event_type OPERATOR(pg_catalog.=) 'Lock'
ORDER BY a.query_start LIMIT 10;

-- name: idle
-- Sessions of this database that have been idle in a transaction for more than a minute.
SELECT a.pid, a.usename::pg_catalog.text,
       pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) a.state_change)
FROM pg_catalog.pg_stat_activity AS a
WHERE a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
  AND pg_catalog.starts_with(a.state, 'idle in transaction')
  AND a.state_change OPERATOR(pg_catalog.<) (pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) interval '1 minute')
ORDER BY a.state_change LIMIT 10;
