-- name: create
-- yoyo's tables as yoyo 9.0.0 makes them (yoyo/internalmigrations/v2.py), and ours beside them, keyed by the same hash;
-- {schema} is the ledger's. Somebody else may have made some of them: the plain yoyo.
SET LOCAL client_min_messages = warning;
CREATE TABLE IF NOT EXISTS {schema}._yoyo_migration (
    migration_hash varchar(64) PRIMARY KEY, migration_id varchar(255), applied_at_utc timestamp
);
CREATE TABLE IF NOT EXISTS {schema}._yoyo_log (
    id varchar(36) PRIMARY KEY, migration_hash varchar(64), migration_id varchar(255), operation varchar(10),
    username varchar(255), hostname varchar(255), comment varchar(255), created_at_utc timestamp
);
CREATE TABLE IF NOT EXISTS {schema}._yoyo_version (version integer PRIMARY KEY, installed_at_utc timestamp);
CREATE TABLE IF NOT EXISTS {schema}._pgyoyo_migration (
    migration_hash varchar(64) PRIMARY KEY,
    migration_id varchar(255) NOT NULL,
    applied_at_utc timestamp NOT NULL,
    checksum pg_catalog.text NOT NULL,
    rollback_checksum pg_catalog.text,
    apply_text pg_catalog.text,
    rollback_text pg_catalog.text,
    started_at timestamp with time zone NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    finished_at timestamp with time zone,
    applied_by pg_catalog.text NOT NULL DEFAULT session_user,
    version pg_catalog.text NOT NULL
);
COMMENT ON TABLE {schema}._pgyoyo_migration IS
    'What pgyoyo knows of each migration in _yoyo_migration; a row counts only while applied_at_utc is the same in both';
CREATE TABLE IF NOT EXISTS {schema}._pgyoyo_journal (
    migration_hash varchar(64) NOT NULL,
    statement integer NOT NULL,
    migration_id varchar(255) NOT NULL,
    operation pg_catalog.text NOT NULL CHECK (operation OPERATOR(pg_catalog.=) ANY (ARRAY['apply', 'rollback'])),
    checksum pg_catalog.text NOT NULL,
    started_at timestamp with time zone NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    state pg_catalog.text NOT NULL CHECK (state OPERATOR(pg_catalog.=) ANY (ARRAY['started', 'failed', 'done'])),
    PRIMARY KEY (migration_hash, statement)
);
COMMENT ON TABLE {schema}._pgyoyo_journal IS
    'The statements so far of migrations outside a transaction that are under way or were interrupted';
CREATE TABLE IF NOT EXISTS {schema}._pgyoyo_backfill (
    migration_hash varchar(64) PRIMARY KEY,
    migration_id varchar(255) NOT NULL,
    checksum pg_catalog.text NOT NULL,
    pid integer NOT NULL,
    started_at timestamp with time zone NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    updated_at timestamp with time zone NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    fraction double precision NOT NULL DEFAULT 0,
    finished bigint[] NOT NULL DEFAULT '{}',
    relation pg_catalog.oid,
    filenode pg_catalog.oid,
    high bigint NOT NULL DEFAULT 0,
    zone_start bigint NOT NULL DEFAULT 0,
    zone_end bigint NOT NULL DEFAULT 0,
    turn integer NOT NULL DEFAULT 0,
    page bigint NOT NULL DEFAULT 0,
    rows bigint NOT NULL DEFAULT 0,
    batches bigint NOT NULL DEFAULT 0,
    worked double precision NOT NULL DEFAULT 0,
    longest_batch double precision NOT NULL DEFAULT 0,
    longest_wait double precision NOT NULL DEFAULT 0,
    wal double precision NOT NULL DEFAULT 0,
    heap_before bigint NOT NULL DEFAULT 0,
    indexes_before bigint NOT NULL DEFAULT 0,
    statement integer NOT NULL DEFAULT 0,
    account pg_catalog.text[] NOT NULL DEFAULT '{}',
    busy double precision NOT NULL DEFAULT 0,
    cascaded pg_catalog.jsonb NOT NULL DEFAULT '{}',
    horizon pg_catalog.text NOT NULL DEFAULT '',
    waiting pg_catalog.text NOT NULL DEFAULT '',
    control pg_catalog.jsonb NOT NULL DEFAULT '{}'
);
COMMENT ON TABLE {schema}._pgyoyo_backfill IS
    'How far backfills are that are under way or were interrupted; times in seconds, sizes in bytes, places in pages';

-- name: create_lock
-- First and alone: whoever makes the other tables holds its row.
SET LOCAL client_min_messages = warning;
CREATE TABLE IF NOT EXISTS {schema}.yoyo_lock (locked integer DEFAULT 1 PRIMARY KEY, ctime timestamp, pid integer NOT NULL);

-- name: version
-- Which of yoyo's layouts the tables have.
INSERT INTO {schema}._yoyo_version VALUES (2, pg_catalog.now() AT TIME ZONE 'UTC') ON CONFLICT DO NOTHING;

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
    SELECT pg_catalog.quote_ident(n.nspname) AS schema, c.relname::pg_catalog.text AS name,
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

-- name: read
-- What is applied, in the order of applying, as a JSON array; then what we know of each. Sent behind one of those that choose, as
-- the next ones: five statements are planned in a third of the time that one with a join takes.
SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(m.migration_id, m.migration_hash, m.applied_at_utc)
    ORDER BY m.applied_at_utc, m.migration_id), '[]')
FROM _yoyo_migration AS m

-- name: read_known
SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(
    p.migration_hash, p.applied_at_utc, p.checksum, p.rollback_checksum,
    pg_catalog.date_part('epoch', p.finished_at OPERATOR(pg_catalog.-) p.started_at) OPERATOR(pg_catalog.*) 1000.0::pg_catalog.float8,
    p.applied_by, p.version,
    CASE WHEN p.applied_by OPERATOR(pg_catalog.=) '' THEN pg_catalog.timezone('UTC', p.started_at) END)), '[]')
FROM _pgyoyo_migration AS p

-- name: read_journal
-- The statements of migrations that were interrupted outside a transaction.
SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(
    j.migration_id, j.migration_hash, j.statement, j.operation, j.checksum, j.state) ORDER BY j.statement), '[]')
FROM _pgyoyo_journal AS j

-- name: read_backfills
-- The backfills under way; to plan it takes longer than all the others, so that it is only sent where there are some.
SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
    'migration_id', b.migration_id, 'hash', b.migration_hash, 'rows', b.rows, 'batches', b.batches,
    'worked', b.worked, 'fraction', b.fraction,
    -- A table that an earlier version made lacks these.
    'busy', (pg_catalog.to_jsonb(b) OPERATOR(pg_catalog.->>) 'busy')::pg_catalog.float8,
    'waiting', coalesce(pg_catalog.to_jsonb(b) OPERATOR(pg_catalog.->>) 'waiting', ''),
    'done', coalesce((pg_catalog.to_jsonb(b) OPERATOR(pg_catalog.->>) 'statement')::pg_catalog.int4, 0),
    'idle', pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) b.updated_at),
    'running', EXISTS (
        SELECT FROM pg_catalog.pg_locks AS l
        WHERE l.pid OPERATOR(pg_catalog.=) b.pid AND l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.granted
    ))), '[]')
FROM _pgyoyo_backfill AS b

-- name: any_backfill
SELECT EXISTS (SELECT FROM _pgyoyo_backfill AS b)

-- name: mark
-- yoyo's row of an applied migration (yoyo/backends/base.py, mark_migration_sql). Its time is later than that of the one applied
-- before, {part}, also where the server's clock was set back: it is the order of rolling back, for the plain yoyo too. The lock
-- is that of `begin`.
INSERT INTO {schema}._yoyo_migration (migration_hash, migration_id, applied_at_utc)
VALUES (%(migration_hash)s, %(migration_id)s, CASE WHEN pg_catalog.pg_try_advisory_xact_lock({key})
    THEN greatest({now}, {part} OPERATOR(pg_catalog.+) interval '1 microsecond')
    ELSE pg_catalog.concat('{taken}')::timestamp END);

-- name: last
-- The latest time in the ledger, but for infinity.
(SELECT pg_catalog.max(y.applied_at_utc) FROM {schema}._yoyo_migration AS y WHERE y.applied_at_utc OPERATOR(pg_catalog.<) 'infinity')

-- name: time_kept
-- The time of the migration before, as its `finish` kept it in this session; the RESET behind each file forgets it.
pg_catalog.current_setting('pgyoyo.applied_at')::timestamp

-- name: time_of
-- The time of one migration, the one that this run applied before.
(SELECT y.applied_at_utc FROM {schema}._yoyo_migration AS y WHERE y.migration_hash OPERATOR(pg_catalog.=) %(before)s)

-- name: unmark
-- Its end (unmark_migration_sql).
DELETE FROM {schema}._yoyo_migration WHERE migration_hash OPERATOR(pg_catalog.=) %(migration_hash)s;

-- name: log
-- yoyo's log row (log_migration_sql); the last one that is written before a file.
INSERT INTO {schema}._yoyo_log (id, migration_hash, migration_id, operation, username, hostname, created_at_utc)
VALUES (%(id)s, %(migration_hash)s, %(migration_id)s, %(operation)s, %(username)s, %(hostname)s, {expect});

-- name: current_schema
-- Where a new ledger goes, and the search_path that says so.
SELECT pg_catalog.quote_ident(pg_catalog.current_schema()), pg_catalog.current_setting('search_path');

-- name: holds
-- Which of these migrations a ledger holds.
SELECT m.migration_hash FROM {schema}._yoyo_migration AS m WHERE m.migration_hash OPERATOR(pg_catalog.=) ANY (%(hashes)s);

-- name: texts
-- The stored files of one migration.
SELECT apply_text, rollback_text FROM {schema}._pgyoyo_migration WHERE migration_hash OPERATOR(pg_catalog.=) %(hash)s;

-- name: logged
-- How many rows the log has.
SELECT pg_catalog.count(*) FROM {schema}._yoyo_log;

-- name: hooks_due
-- Whether something was applied after one of these hooks ran the last time; what was only marked does not count.
WITH applied (at) AS (
    SELECT pg_catalog.max(l.created_at_utc) FROM {schema}._yoyo_log AS l
    WHERE l.operation OPERATOR(pg_catalog.=) 'apply' AND pg_catalog.left(l.migration_id, 10) OPERATOR(pg_catalog.<>) 'post-apply'
)
SELECT pg_catalog.bool_or(applied.at OPERATOR(pg_catalog.>) coalesce(
    (SELECT pg_catalog.max(l.created_at_utc) FROM {schema}._yoyo_log AS l
     WHERE l.operation OPERATOR(pg_catalog.=) 'apply' AND l.migration_hash OPERATOR(pg_catalog.=) h.hash), '-infinity'))
FROM pg_catalog.unnest(%(hooks)s::pg_catalog.text[]) AS h (hash), applied;

-- name: rename
-- A migration under another id; what was under way is known by the new one, too.
UPDATE {schema}._yoyo_migration SET migration_id = %(migration_id)s, migration_hash = %(migration_hash)s
WHERE migration_hash OPERATOR(pg_catalog.=) %(old_hash)s;
UPDATE {schema}._pgyoyo_migration SET migration_id = %(migration_id)s, migration_hash = %(migration_hash)s
WHERE migration_hash OPERATOR(pg_catalog.=) %(old_hash)s;
UPDATE {schema}._pgyoyo_journal SET migration_id = %(migration_id)s, migration_hash = %(migration_hash)s
WHERE migration_hash OPERATOR(pg_catalog.=) %(old_hash)s;
UPDATE {schema}._pgyoyo_backfill SET migration_id = %(migration_id)s, migration_hash = %(migration_hash)s
WHERE migration_hash OPERATOR(pg_catalog.=) %(old_hash)s;
INSERT INTO {schema}._yoyo_log (id, migration_hash, migration_id, operation, username, hostname, comment, created_at_utc)
VALUES (%(id)s, %(migration_hash)s, %(migration_id)s, %(operation)s, %(username)s, %(hostname)s, %(comment)s, {now});

-- name: adopt
-- Who ran a migration of the plain yoyo's is not known, whoever accepts its files.
UPDATE {schema}._pgyoyo_migration SET applied_by = '' WHERE migration_hash OPERATOR(pg_catalog.=) %(hash)s;

-- name: is_applied
-- Whether the ledger has a migration: asked after a connection was lost.
SELECT pg_catalog.count(*) FROM {schema}._yoyo_migration WHERE migration_hash OPERATOR(pg_catalog.=) %(hash)s;

-- name: store
-- What we know of a migration, written right after yoyo's row, whose time it has.
INSERT INTO {schema}._pgyoyo_migration AS m
    (migration_hash, migration_id, applied_at_utc, checksum, rollback_checksum, apply_text, rollback_text, version)
VALUES (%(hash)s, %(id)s,
    (SELECT y.applied_at_utc FROM {schema}._yoyo_migration AS y WHERE y.migration_hash OPERATOR(pg_catalog.=) %(hash)s),
    %(checksum)s, %(rollback_checksum)s, %(apply)s, %(rollback)s, %(version)s)
ON CONFLICT (migration_hash) DO UPDATE SET
    migration_id = excluded.migration_id, applied_at_utc = excluded.applied_at_utc, checksum = excluded.checksum,
    rollback_checksum = excluded.rollback_checksum, apply_text = excluded.apply_text,
    rollback_text = excluded.rollback_text, version = excluded.version,
    started_at = pg_catalog.clock_timestamp(), finished_at = NULL, applied_by = session_user;

-- name: accept
-- The files of an applied migration as they are now.
UPDATE {schema}._pgyoyo_migration SET checksum = %(checksum)s, rollback_checksum = %(rollback_checksum)s,
    apply_text = %(apply)s, rollback_text = %(rollback)s
WHERE migration_hash OPERATOR(pg_catalog.=) %(hash)s;

-- name: begin
-- The lock {key} also for the transaction, since a file may release the session's; nobody else has it while we do. A cast that
-- fails says what is wrong.
SELECT WHERE CASE WHEN pg_catalog.pg_try_advisory_xact_lock({key}) THEN false
    ELSE pg_catalog.concat('{taken}')::boolean END;

-- name: expect
-- The time; the session keeps, for the transaction, what {changes} are behind the log's row.
CASE WHEN pg_catalog.set_config('pgyoyo.ledger', {changes}, true) IS NOT NULL{keep} THEN {now} END

-- name: check
-- What the file did to the ledger: the migration's row is there, and no other one came, changed or went. And the session has its
-- lock again, which nobody else can have got. This and the next ones are sent behind the file's text, so they have no quote that
-- could close one which the file left open.
SELECT WHERE CASE WHEN EXISTS (
    SELECT FROM {schema}._yoyo_migration AS y WHERE y.migration_hash OPERATOR(pg_catalog.=) $pgyoyo${hash}$pgyoyo${same}
){part} AND {unchanged} THEN CASE WHEN {whole} THEN NOT pg_catalog.pg_try_advisory_lock({key})
    ELSE pg_catalog.concat($pgyoyo${altered}$pgyoyo$)::boolean END ELSE pg_catalog.concat($pgyoyo${lost}$pgyoyo$)::boolean END;

-- name: check_hook
-- The same for a hook, of which the ledger has no row but in its log.
SELECT WHERE CASE WHEN {unchanged} THEN CASE WHEN {whole} THEN NOT pg_catalog.pg_try_advisory_lock({key})
    ELSE pg_catalog.concat($pgyoyo${altered}$pgyoyo$)::boolean END ELSE pg_catalog.concat($pgyoyo${lost}$pgyoyo$)::boolean END;

-- name: watch
-- Before a statement of a file outside a transaction, within the statement's own: what the counts are.
SELECT WHERE NOT (pg_catalog.set_config($$pgyoyo.ledger$$, {changes}, true) IS NOT NULL{keep});

-- name: rows
-- Where no row of this transaction's shows a TRUNCATE: how many there are.
, $$ $$, (SELECT pg_catalog.count(*) FROM {schema}._yoyo_migration), $$ $$, (SELECT pg_catalog.count(*) FROM {schema}._pgyoyo_migration)

-- name: files
-- The same where the file may have taken another role: a TRUNCATE gives a table a new file.
, $$ $$, pg_catalog.pg_relation_filenode({table}), $$ $$, pg_catalog.pg_relation_filenode({ours}), $$ $$, pg_catalog.pg_relation_filenode({log})

-- name: keep
-- Where the file resets settings, a lock that nobody waits for keeps the counts until the transaction's end, too.
 AND pg_catalog.pg_try_advisory_xact_lock_shared({mark}, pg_catalog.hashtext({changes})) IS NOT NULL

-- name: kept
EXISTS (SELECT FROM pg_catalog.pg_locks AS l
        WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND l.locktype OPERATOR(pg_catalog.=) $$advisory$$
          AND l.classid OPERATOR(pg_catalog.=) {mark}::pg_catalog.oid AND l.objsubid OPERATOR(pg_catalog.=) 2::pg_catalog.int2
          AND l.objid OPERATOR(pg_catalog.=) pg_catalog.hashtext({changes})::pg_catalog.oid)

-- name: check_statement
-- Behind it: it left the ledger alone.
SELECT WHERE CASE WHEN {unchanged} THEN CASE WHEN {whole} THEN false
    ELSE pg_catalog.concat($pgyoyo${altered}$pgyoyo$)::boolean END ELSE pg_catalog.concat($pgyoyo${lost}$pgyoyo$)::boolean END;

-- name: intact
-- A number that is another one where a table of these was dropped, moved or renamed, or has a trigger, a rule or row-level
-- security now; and how many have neither.
SELECT coalesce(pg_catalog.sum(pg_catalog.hashtext(pg_catalog.concat_ws($$ $$, c.oid, c.relnamespace, c.relname))), 0)::pg_catalog.int8,
       pg_catalog.count(*)
FROM pg_catalog.pg_class AS c
WHERE c.oid OPERATOR(pg_catalog.=) ANY ($${{oids}}$$::pg_catalog.oid[])
  AND c.relpersistence OPERATOR(pg_catalog.=) $$p$$ AND NOT c.relrowsecurity
  AND NOT (c.relhastriggers AND EXISTS (
    SELECT FROM pg_catalog.pg_trigger AS g WHERE g.tgrelid OPERATOR(pg_catalog.=) c.oid AND NOT g.tgisinternal))
  AND NOT (c.relhasrules AND EXISTS (SELECT FROM pg_catalog.pg_rewrite AS w WHERE w.ev_class OPERATOR(pg_catalog.=) c.oid)){close}

-- name: close
-- Where a file names them: they have their columns and their keys. To ask always would take a twentieth of the time of a small
-- migration.
 AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a WHERE a.attrelid OPERATOR(pg_catalog.=) c.oid AND a.attisdropped)
 AND EXISTS (SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid OPERATOR(pg_catalog.=) c.oid AND i.indisunique)

-- name: whole
-- Whether they are as they were.
(SELECT n.sign OPERATOR(pg_catalog.=) $${sign}$$::pg_catalog.int8 FROM ({intact}) AS n (sign, count))

-- name: guarded
-- The OIDs of the tables with these names.
SELECT pg_catalog.to_regclass(t.name)::pg_catalog.oid::pg_catalog.int8
FROM pg_catalog.unnest(%(names)s::pg_catalog.text[]) AS t (name);

-- name: unchanged
-- Unknown where code of the database resets all settings.
CASE WHEN pg_catalog.current_setting($$pgyoyo.ledger$$, true) OPERATOR(pg_catalog.<>) $$$$
    THEN pg_catalog.current_setting($$pgyoyo.ledger$$) OPERATOR(pg_catalog.=) {changes} ELSE {kept} END

-- name: same
-- The table itself, not one that the file made in its place.
 AND y.tableoid OPERATOR(pg_catalog.=) {table}

-- name: stored
-- Our own row is there, too: a trigger that an earlier file of the run made may keep `store` from writing it.
 AND EXISTS (SELECT FROM {schema}._pgyoyo_migration AS m WHERE m.migration_hash OPERATOR(pg_catalog.=) $pgyoyo${hash}$pgyoyo$)

-- name: counted
-- The tables whose rows a record checks; none where the server counts nothing, or there is no ledger yet.
SELECT pg_catalog.to_regclass(t.name)::pg_catalog.oid::pg_catalog.int8
FROM pg_catalog.unnest(%(names)s::pg_catalog.text[]) WITH ORDINALITY AS t (name, place)
WHERE pg_catalog.current_setting('track_counts') OPERATOR(pg_catalog.=) 'on' ORDER BY t.place;

-- name: unmark_checked
-- The end of yoyo's row, behind a rollback file.
DELETE FROM {schema}._yoyo_migration WHERE migration_hash OPERATOR(pg_catalog.=) $pgyoyo${hash}$pgyoyo$;

-- name: finish
-- The end of a migration's time. The session keeps the time of its row for the next one.
UPDATE {schema}._pgyoyo_migration SET finished_at = CASE WHEN
    pg_catalog.set_config($$pgyoyo.applied_at$$, applied_at_utc::pg_catalog.text, false) IS NOT NULL
    THEN pg_catalog.clock_timestamp() END
WHERE migration_hash OPERATOR(pg_catalog.=) $pgyoyo${hash}$pgyoyo$;

-- name: finish_long
-- The same for a migration of many transactions: its time began with its first journal line or first batch.
UPDATE {schema}._pgyoyo_migration m SET finished_at = CASE WHEN
    pg_catalog.set_config($$pgyoyo.applied_at$$, m.applied_at_utc::pg_catalog.text, false) IS NOT NULL
    THEN pg_catalog.clock_timestamp() END, started_at = coalesce(
    (SELECT pg_catalog.min(j.started_at) FROM {schema}._pgyoyo_journal j
     WHERE j.migration_hash OPERATOR(pg_catalog.=) m.migration_hash),
    (SELECT b.started_at FROM {schema}._pgyoyo_backfill b
     WHERE b.migration_hash OPERATOR(pg_catalog.=) m.migration_hash), m.started_at)
WHERE migration_hash OPERATOR(pg_catalog.=) $pgyoyo${hash}$pgyoyo$;

-- name: forget
-- What we knew of a migration that is rolled back or unmarked.
DELETE FROM {schema}._pgyoyo_migration WHERE migration_hash OPERATOR(pg_catalog.=) %(hash)s;

-- name: journal_start
-- A statement outside a transaction is about to run, or has: its time begins with the transaction of its first note.
INSERT INTO {schema}._pgyoyo_journal AS j (migration_hash, statement, migration_id, operation, checksum, state, started_at)
VALUES (%(hash)s, %(statement)s, %(id)s, %(operation)s, %(checksum)s, %(state)s, pg_catalog.now())
ON CONFLICT (migration_hash, statement) DO UPDATE SET
    operation = excluded.operation, checksum = excluded.checksum, state = excluded.state;

-- name: journal_state
-- What became of it.
UPDATE {schema}._pgyoyo_journal SET state = %(state)s WHERE migration_hash OPERATOR(pg_catalog.=) %(hash)s AND statement OPERATOR(pg_catalog.=) %(statement)s;

-- name: journal_clear
-- All its statements are done: the ledger speaks from now on.
DELETE FROM {schema}._pgyoyo_journal WHERE migration_hash OPERATOR(pg_catalog.=) %(hash)s;

-- name: backfill_clear
-- All its rows are done, or it is recorded without them: the ledger speaks from now on.
DELETE FROM {schema}._pgyoyo_backfill WHERE migration_hash OPERATOR(pg_catalog.=) %(hash)s;
