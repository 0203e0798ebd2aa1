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
INSERT INTO {schema}._yoyo_version VALUES (2, now() AT TIME ZONE 'UTC') ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS {schema}.yoyo_lock (locked integer DEFAULT 1 PRIMARY KEY, ctime timestamp, pid integer NOT NULL);
CREATE TABLE IF NOT EXISTS {schema}._pgyoyo_migration (
    migration_hash varchar(64) PRIMARY KEY,
    migration_id varchar(255) NOT NULL,
    applied_at_utc timestamp NOT NULL,
    checksum text NOT NULL,
    rollback_checksum text,
    apply_text text,
    rollback_text text,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    finished_at timestamptz,
    applied_by text NOT NULL DEFAULT session_user,
    version text NOT NULL
);
COMMENT ON TABLE {schema}._pgyoyo_migration IS
    'What pgyoyo knows of each migration in _yoyo_migration; a row counts only while applied_at_utc is the same in both';
CREATE TABLE IF NOT EXISTS {schema}._pgyoyo_journal (
    migration_hash varchar(64) NOT NULL,
    statement integer NOT NULL,
    migration_id varchar(255) NOT NULL,
    operation text NOT NULL CHECK (operation IN ('apply', 'rollback')),
    checksum text NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state text NOT NULL CHECK (state IN ('started', 'failed', 'done')),
    PRIMARY KEY (migration_hash, statement)
);
COMMENT ON TABLE {schema}._pgyoyo_journal IS
    'The statements so far of migrations outside a transaction that are under way or were interrupted';
CREATE TABLE IF NOT EXISTS {schema}._pgyoyo_backfill (
    migration_hash varchar(64) PRIMARY KEY,
    migration_id varchar(255) NOT NULL,
    checksum text NOT NULL,
    pid integer NOT NULL,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    fraction float8 NOT NULL DEFAULT 0,
    finished bigint[] NOT NULL DEFAULT '{}',
    relation oid,
    filenode oid,
    high bigint NOT NULL DEFAULT 0,
    zone_start bigint NOT NULL DEFAULT 0,
    zone_end bigint NOT NULL DEFAULT 0,
    turn integer NOT NULL DEFAULT 0,
    page bigint NOT NULL DEFAULT 0,
    rows bigint NOT NULL DEFAULT 0,
    batches bigint NOT NULL DEFAULT 0,
    worked float8 NOT NULL DEFAULT 0,
    longest_batch float8 NOT NULL DEFAULT 0,
    longest_wait float8 NOT NULL DEFAULT 0,
    wal float8 NOT NULL DEFAULT 0,
    heap_before bigint NOT NULL DEFAULT 0,
    indexes_before bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE {schema}._pgyoyo_backfill IS
    'How far backfills are that are under way or were interrupted; times in seconds, sizes in bytes, places in pages';

-- name: read
-- The schema of the ledger, and as JSON arrays: the applied migrations in the order of applying, the statements of those that
-- were interrupted outside a transaction, the backfills under way. {prefix} is the ledger's schema where it is known; else names
-- are found through search_path, as yoyo finds them. Whatever a schema of the path holds, only pg_catalog's functions run.
SELECT pg_catalog.quote_ident(n.nspname),
       (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(
            m.migration_id, m.migration_hash, m.applied_at_utc, p.checksum, p.rollback_checksum,
            pg_catalog.date_part('epoch', p.finished_at OPERATOR(pg_catalog.-) p.started_at) OPERATOR(pg_catalog.*) 1000.0::pg_catalog.float8,
            p.applied_by, p.version) ORDER BY m.applied_at_utc, m.migration_id), '[]')
        FROM {prefix}_yoyo_migration AS m
        LEFT JOIN {prefix}_pgyoyo_migration AS p ON p.migration_hash OPERATOR(pg_catalog.=) m.migration_hash
          AND p.applied_at_utc OPERATOR(pg_catalog.=) m.applied_at_utc),
       (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(
            j.migration_id, j.migration_hash, j.statement, j.operation, j.checksum, j.state) ORDER BY j.statement), '[]')
        FROM {prefix}_pgyoyo_journal AS j),
       (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_object(
            'migration_id', b.migration_id, 'hash', b.migration_hash, 'rows', b.rows, 'batches', b.batches,
            'worked', b.worked, 'fraction', b.fraction,
            'idle', pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) b.updated_at),
            'running', EXISTS (
                SELECT FROM pg_catalog.pg_locks AS l
                WHERE l.pid OPERATOR(pg_catalog.=) b.pid AND l.locktype OPERATOR(pg_catalog.=) 'advisory' AND l.granted
            ))), '[]')
        FROM {prefix}_pgyoyo_backfill AS b)
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.oid OPERATOR(pg_catalog.=) '{prefix}_yoyo_migration'::pg_catalog.regclass;

-- name: read_plain
-- The same where only the plain yoyo has been at work, so that our tables are not there.
SELECT pg_catalog.quote_ident(n.nspname),
       (SELECT coalesce(pg_catalog.json_agg(pg_catalog.json_build_array(m.migration_id, m.migration_hash, m.applied_at_utc)
            ORDER BY m.applied_at_utc, m.migration_id), '[]')
        FROM {prefix}_yoyo_migration AS m),
       '[]'::pg_catalog.json, '[]'::pg_catalog.json
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE c.oid OPERATOR(pg_catalog.=) '{prefix}_yoyo_migration'::pg_catalog.regclass;

-- name: mark
-- yoyo's row of an applied migration (yoyo/backends/base.py, mark_migration_sql); {now} is the same in all rows of it.
INSERT INTO {schema}._yoyo_migration (migration_hash, migration_id, applied_at_utc)
VALUES (%(migration_hash)s, %(migration_id)s, {now});

-- name: unmark
-- Its end (unmark_migration_sql).
DELETE FROM {schema}._yoyo_migration WHERE migration_hash = %(migration_hash)s;

-- name: log
-- yoyo's log row (log_migration_sql).
INSERT INTO {schema}._yoyo_log (id, migration_hash, migration_id, operation, username, hostname, created_at_utc)
VALUES (%(id)s, %(migration_hash)s, %(migration_id)s, %(operation)s, %(username)s, %(hostname)s, {now});

-- name: current_schema
-- Where a new ledger goes, and the search_path that says so.
SELECT pg_catalog.quote_ident(pg_catalog.current_schema()), pg_catalog.current_setting('search_path');

-- name: others
-- Ledgers that stand in other schemas of the search_path: a sign that it changed since the first run.
SELECT c.relnamespace::regnamespace::text
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = '_yoyo_migration' AND n.nspname = ANY (current_schemas(false))
  AND c.relnamespace::regnamespace::text <> %(schema)s;

-- name: elsewhere
-- Ledgers off the search_path: it may have changed since the first run.
SELECT c.relnamespace::regnamespace::text
FROM pg_catalog.pg_class c
WHERE c.relname = '_yoyo_migration' AND c.relkind = 'r' AND has_table_privilege(c.oid, 'SELECT')
ORDER BY 1;

-- name: holds_one_of
-- Whether a ledger has one of our migrations.
SELECT EXISTS (SELECT FROM {schema}._yoyo_migration WHERE migration_hash = ANY (%(hashes)s));

-- name: texts
-- The stored files of one migration.
SELECT apply_text, rollback_text FROM {schema}._pgyoyo_migration WHERE migration_hash = %(hash)s;

-- name: is_applied
-- Whether the ledger has a migration: asked after a connection was lost.
SELECT count(*) FROM {schema}._yoyo_migration WHERE migration_hash = %(hash)s;

-- name: store
-- What we know of a migration, written right after yoyo's row; {applied_at} is what stands there.
INSERT INTO {schema}._pgyoyo_migration AS m
    (migration_hash, migration_id, applied_at_utc, checksum, rollback_checksum, apply_text, rollback_text, version)
VALUES (%(hash)s, %(id)s, {applied_at}, %(checksum)s, %(rollback_checksum)s, %(apply)s, %(rollback)s, %(version)s)
ON CONFLICT (migration_hash) DO UPDATE SET
    migration_id = excluded.migration_id, applied_at_utc = excluded.applied_at_utc, checksum = excluded.checksum,
    rollback_checksum = excluded.rollback_checksum, apply_text = excluded.apply_text,
    rollback_text = excluded.rollback_text, version = excluded.version,
    started_at = clock_timestamp(), finished_at = NULL, applied_by = session_user;

-- name: applied_at
-- When yoyo's row says that a migration was applied.
SELECT applied_at_utc FROM {schema}._yoyo_migration WHERE migration_hash = %(hash)s

-- name: accept
-- The files of an applied migration as they are now.
UPDATE {schema}._pgyoyo_migration SET checksum = %(checksum)s, rollback_checksum = %(rollback_checksum)s,
    apply_text = %(apply)s, rollback_text = %(rollback)s
WHERE migration_hash = %(hash)s;

-- name: finish
-- The end of a migration's time. This is sent behind the file's text, so it has no quote that could close one which the file
-- left open.
UPDATE {schema}._pgyoyo_migration SET finished_at = clock_timestamp() WHERE migration_hash = $pgyoyo${hash}$pgyoyo$;

-- name: finish_long
-- The same for a migration of many transactions: its time began with its first journal line or first batch.
UPDATE {schema}._pgyoyo_migration m SET finished_at = clock_timestamp(), started_at = coalesce(
    (SELECT min(j.started_at) FROM {schema}._pgyoyo_journal j WHERE j.migration_hash = m.migration_hash),
    (SELECT b.started_at FROM {schema}._pgyoyo_backfill b WHERE b.migration_hash = m.migration_hash), m.started_at)
WHERE migration_hash = $pgyoyo${hash}$pgyoyo$;

-- name: forget
-- What we knew of a migration that is rolled back or unmarked.
DELETE FROM {schema}._pgyoyo_migration WHERE migration_hash = %(hash)s;

-- name: journal_start
-- A statement outside a transaction is about to run.
INSERT INTO {schema}._pgyoyo_journal (migration_hash, statement, migration_id, operation, checksum, state)
VALUES (%(hash)s, %(statement)s, %(id)s, %(operation)s, %(checksum)s, %(state)s)
ON CONFLICT (migration_hash, statement) DO UPDATE SET
    operation = excluded.operation, checksum = excluded.checksum, state = excluded.state, started_at = clock_timestamp();

-- name: journal_state
-- What became of it.
UPDATE {schema}._pgyoyo_journal SET state = %(state)s WHERE migration_hash = %(hash)s AND statement = %(statement)s;

-- name: journal_clear
-- All its statements are done: the ledger speaks from now on.
DELETE FROM {schema}._pgyoyo_journal WHERE migration_hash = %(hash)s;

-- name: backfill_clear
-- All its rows are done, or it is recorded without them: the ledger speaks from now on.
DELETE FROM {schema}._pgyoyo_backfill WHERE migration_hash = %(hash)s;
