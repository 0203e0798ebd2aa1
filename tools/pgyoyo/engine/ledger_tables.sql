-- The tables of the ledger, as they are made.

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
