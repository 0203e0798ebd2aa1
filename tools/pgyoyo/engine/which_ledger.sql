-- Which ledger counts, and whether its tables can be trusted: whole queries, and the parts that are put into them.

-- name: tables
-- The tables of the ledger that counts, and what speaks against each: that of schema %(schema)s where it is given, else the current
-- schema's, else the first one of the search_path. Whatever stands in the way of plain names, only pg_catalog's objects are used.
WITH RECURSIVE role (oid) AS (
    SELECT r.oid FROM pg_catalog.pg_roles AS r
    WHERE r.rolname OPERATOR(pg_catalog.=) current_user OR r.rolname OPERATOR(pg_catalog.=) session_user
    UNION
    -- Not pg_has_role(): a superuser counts as a member of every role.
    SELECT m.roleid FROM role JOIN pg_catalog.pg_auth_members AS m ON m.member OPERATOR(pg_catalog.=) role.oid
), path (oid, place) AS (
    -- The search_path as it is written: current_schemas() leaves out what this role may not use.
    SELECT n.oid, pg_catalog.min(p.place)
    FROM pg_catalog.regexp_matches(
        pg_catalog.current_setting('search_path'), '"((?:[^"]|"")*)"|([^",\s]+)', 'g') WITH ORDINALITY AS p (word, place)
    JOIN pg_catalog.pg_namespace AS n ON n.nspname OPERATOR(pg_catalog.=) CASE
        WHEN coalesce(p.word[1], pg_catalog.lower(p.word[2])) OPERATOR(pg_catalog.=) '$user' THEN current_user
        ELSE coalesce(pg_catalog.replace(p.word[1], '""', '"'), pg_catalog.lower(p.word[2]))::pg_catalog.name END
    GROUP BY n.oid
), ledger (schema, name, place) AS (
    SELECT n.oid, n.nspname, path.place FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    LEFT JOIN path ON path.oid OPERATOR(pg_catalog.=) n.oid
    WHERE c.relname OPERATOR(pg_catalog.=) '_yoyo_migration' AND c.relpersistence OPERATOR(pg_catalog.<>) 't'{only}
), chosen (schema) AS (
    {chosen}
)
SELECT t.*, t.usable AND t.readable AND t.kind OPERATOR(pg_catalog.=) 'r' AND t.trusted AND t.trigger IS NULL AND t.rule IS NULL
       AND NOT t.secured AND NOT t.unlogged AND t.child IS NULL AND t.misfit IS NULL AND t.key IS NULL AS sound
FROM (
    SELECT pg_catalog.quote_ident(CURRENT_USER) AS role, pg_catalog.quote_ident(n.nspname) AS schema, c.relname::pg_catalog.text AS name,
           pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS usable,
           pg_catalog.has_table_privilege(c.oid, 'SELECT') AS readable,
           c.relkind::pg_catalog.text AS kind, pg_catalog.quote_ident(r.rolname) AS owner,
           c.relowner OPERATOR(pg_catalog.=) ANY (SELECT role.oid FROM role) OR r.rolsuper
               OR r.rolname OPERATOR(pg_catalog.=) 'pg_database_owner' OR c.relowner OPERATOR(pg_catalog.=) (
                   SELECT d.datdba FROM pg_catalog.pg_database AS d
                   WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()) AS trusted,
           (SELECT pg_catalog.min(g.tgname::pg_catalog.text) FROM pg_catalog.pg_trigger AS g
            WHERE g.tgrelid OPERATOR(pg_catalog.=) c.oid AND NOT g.tgisinternal) AS trigger,
           (SELECT pg_catalog.min(w.rulename::pg_catalog.text) FROM pg_catalog.pg_rewrite AS w
            WHERE w.ev_class OPERATOR(pg_catalog.=) c.oid) AS rule,
           pg_catalog.row_security_active(c.oid) AS secured,
           c.relpersistence OPERATOR(pg_catalog.=) 'u' AS unlogged,
           (SELECT pg_catalog.min(h.inhrelid::pg_catalog.regclass::pg_catalog.text) FROM pg_catalog.pg_inherits AS h
            WHERE h.inhparent OPERATOR(pg_catalog.=) c.oid) AS child,
           {misfit} AS misfit, {key} AS key
    FROM chosen
    JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) chosen.schema
    JOIN pg_catalog.pg_class AS c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid AND c.relname OPERATOR(pg_catalog.=) ANY (ARRAY[
        '_yoyo_migration', '_yoyo_log', '_yoyo_version', 'yoyo_lock',
        '_pgyoyo_migration', '_pgyoyo_journal', '_pgyoyo_backfill']::pg_catalog.name[])
    JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) c.relowner
) AS t
ORDER BY t.schema, t.name

-- name: misfit
-- The first column that is missing, of another type or generated, of those that are read or written, with its type; the numbers
-- are those of pg_type.dat.
(SELECT pg_catalog.min(pg_catalog.concat(s.name, ' ', s.type))
 FROM (SELECT w.relname, pg_catalog.unnest(w.names)::pg_catalog.name, w.type, w.oids::pg_catalog.oid[] FROM (VALUES
    ('_yoyo_migration', '{migration_hash,migration_id}'::pg_catalog.text[], 'varchar', '{1043,25}'),
    ('_yoyo_migration', '{applied_at_utc}', 'timestamp', '{1114}'),
    ('_yoyo_log', '{id,migration_hash,migration_id,operation,username,hostname,comment}', 'varchar', '{1043,25}'),
    ('_yoyo_log', '{created_at_utc}', 'timestamp', '{1114}'),
    ('_yoyo_version', '{version}', 'integer', '{23,20}'),
    ('yoyo_lock', '{locked,pid}', 'integer', '{23,20}'),
    ('yoyo_lock', '{ctime}', 'timestamp', '{1114}'),
    ('_pgyoyo_migration', '{migration_hash,migration_id,checksum,rollback_checksum,apply_text,rollback_text,applied_by,version}', 'text', '{1043,25}'),
    ('_pgyoyo_migration', '{applied_at_utc}', 'timestamp', '{1114}'),
    ('_pgyoyo_migration', '{started_at,finished_at}', 'timestamptz', '{1184}'),
    ('_pgyoyo_journal', '{migration_hash,migration_id,operation,checksum,state}', 'text', '{1043,25}'),
    ('_pgyoyo_journal', '{statement}', 'integer', '{23}'),
    ('_pgyoyo_journal', '{started_at}', 'timestamptz', '{1184}'),
    ('_pgyoyo_backfill', '{migration_hash,migration_id,checksum}', 'text', '{1043,25}'),
    ('_pgyoyo_backfill', '{started_at,updated_at}', 'timestamptz', '{1184}')
 ) AS w (relname, names, type, oids)) AS s (relname, name, type, oids)
 LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) c.oid
   AND a.attname OPERATOR(pg_catalog.=) s.name AND a.attnum OPERATOR(pg_catalog.>) 0::pg_catalog.int2
 WHERE s.relname::pg_catalog.name OPERATOR(pg_catalog.=) c.relname AND (a.attnum IS NULL
   OR a.atttypid OPERATOR(pg_catalog.<>) ALL (s.oids)
   OR a.attgenerated OPERATOR(pg_catalog.<>) '' OR a.attidentity OPERATOR(pg_catalog.=) 'a'))

-- name: key
-- The columns of its primary key where nothing keeps them unique.
(SELECT k.names FROM (VALUES
    ('_yoyo_migration'::pg_catalog.name, 'migration_hash'), ('_yoyo_log', 'id'), ('_yoyo_version', 'version'),
    ('yoyo_lock', 'locked'), ('_pgyoyo_migration', 'migration_hash'), ('_pgyoyo_backfill', 'migration_hash'),
    ('_pgyoyo_journal', 'migration_hash, statement')
 ) AS k (relname, names)
 WHERE k.relname OPERATOR(pg_catalog.=) c.relname AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_index AS i
    WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid AND i.indisunique AND i.indimmediate AND i.indisvalid
      AND i.indpred IS NULL AND (
        SELECT pg_catalog.string_agg(a.attname::pg_catalog.text, ', ' ORDER BY a.attnum) FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid OPERATOR(pg_catalog.=) i.indexrelid
          AND a.attnum OPERATOR(pg_catalog.<=) i.indnkeyatts) OPERATOR(pg_catalog.=) k.names))

-- name: is_anywhere
SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.relname OPERATOR(pg_catalog.=) '_yoyo_migration' AND {here})

-- name: in_schema
c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.to_regnamespace({name})::pg_catalog.oid

-- name: which_counts
SELECT l.schema FROM ledger AS l
WHERE CASE WHEN %(schema)s::pg_catalog.text IS NULL THEN l.place IS NOT NULL
           ELSE pg_catalog.quote_ident(l.name) OPERATOR(pg_catalog.=) %(schema)s END
ORDER BY l.name OPERATOR(pg_catalog.=) pg_catalog.current_schema() DESC, l.place LIMIT 1

-- name: on_path
-- Where there are thousands, the others are not read.
 AND path.oid IS NOT NULL

-- name: only
-- Nor here, where a schema is named.
 AND c.relnamespace OPERATOR(pg_catalog.=) (
    SELECT o.oid FROM pg_catalog.pg_namespace AS o WHERE o.nspname OPERATOR(pg_catalog.=) {name})

-- name: which_present
-- The schema itself, whether or not it has a ledger, and the ledgers in other schemas of a search_path that comes from the role
-- or the database: a sign that it changed since the first run. A connection that sets its own says by that which one is meant.
SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE pg_catalog.quote_ident(n.nspname) OPERATOR(pg_catalog.=) %(schema)s
UNION
SELECT l.schema FROM ledger AS l
WHERE l.place IS NOT NULL AND pg_catalog.quote_ident(l.name) OPERATOR(pg_catalog.<>) %(schema)s AND NOT {configured}

-- name: which_elsewhere
-- Ledgers off the search_path.
SELECT l.schema FROM ledger AS l WHERE l.place IS NULL

-- name: configured
-- Whether the connection itself set the search_path.
(SELECT s.source OPERATOR(pg_catalog.=) ANY (ARRAY['client', 'session']) FROM pg_catalog.pg_settings AS s
 WHERE s.name OPERATOR(pg_catalog.=) 'search_path')

-- name: here
pg_catalog.quote_ident(pg_catalog.current_schema())

-- name: choose
-- Nothing but the ledger that counts, where its tables are sound, is there for the rest of the message.
SELECT pg_catalog.set_config('search_path', coalesce((
    SELECT CASE WHEN pg_catalog.bool_and(t.sound) THEN pg_catalog.concat(pg_catalog.min(t.schema), ', pg_temp') END
    FROM ({tables}) AS t), 'pg_catalog, pg_temp'), true)

-- name: choose_plain
-- The same in a tenth of the time where nothing asks for a second look: the tables of schema {name} are ordinary ones with
-- their primary keys, never had a trigger, a rule, row-level security or a child, and are this role's, that of the login, or one's
-- that it is a member of. Else nothing is there for the rest of the message. Beside it what `guarded` gives: the tables by name,
-- the number of `intact`, and whether rows are counted.
SELECT pg_catalog.set_config('search_path', CASE WHEN pg_catalog.bool_and(
        c.relkind OPERATOR(pg_catalog.=) 'r' AND c.relpersistence OPERATOR(pg_catalog.=) 'p'
        AND NOT c.relhastriggers AND NOT c.relhasrules AND NOT c.relrowsecurity AND NOT c.relhassubclass
        AND (pg_catalog.pg_get_userbyid(c.relowner) OPERATOR(pg_catalog.=) ANY (ARRAY[current_user, session_user])
             -- A superuser counts as a member of every role.
             OR pg_catalog.current_setting('is_superuser') OPERATOR(pg_catalog.=) 'off'
                AND pg_catalog.pg_has_role(c.relowner, 'MEMBER')))
        AND (
            SELECT pg_catalog.count(*) FROM pg_catalog.pg_index AS i
            WHERE i.indrelid OPERATOR(pg_catalog.=) ANY (pg_catalog.array_agg(c.oid)) AND i.indisprimary AND i.indimmediate
        ) OPERATOR(pg_catalog.=) pg_catalog.count(*) AND {alone}
    THEN pg_catalog.concat({name}::pg_catalog.text, ', pg_temp') ELSE 'pg_catalog, pg_temp' END, true),
    pg_catalog.json_object_agg(c.relname, c.oid::pg_catalog.int8),
    (pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws(' ', c.oid, c.relnamespace, c.relname)))
        FILTER (WHERE c.relname OPERATOR(pg_catalog.<>) 'yoyo_lock'))::pg_catalog.int8,
    pg_catalog.current_setting('track_counts')::pg_catalog.bool
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace OPERATOR(pg_catalog.=) pg_catalog.to_regnamespace({name})::pg_catalog.oid
  AND c.relname OPERATOR(pg_catalog.=) ANY (ARRAY[
    '_yoyo_migration', '_yoyo_log', '_yoyo_version', 'yoyo_lock',
    '_pgyoyo_migration', '_pgyoyo_journal', '_pgyoyo_backfill']::pg_catalog.name[])

-- name: alone
-- No other schema has a ledger, so that none on the search_path can speak against this one.
NOT EXISTS (
    SELECT FROM pg_catalog.pg_class AS o WHERE o.relname OPERATOR(pg_catalog.=) '_yoyo_migration'
      AND o.relnamespace OPERATOR(pg_catalog.<>) pg_catalog.to_regnamespace({name})::pg_catalog.oid)

-- name: current_schema
-- Where a new ledger goes, and the search_path that says so.
SELECT pg_catalog.quote_ident(pg_catalog.current_schema()), pg_catalog.current_setting('search_path');
