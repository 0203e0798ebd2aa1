-- Where a backfill is: its row in the ledger, and its table as it is now.

-- name: missing_columns
-- What the table of backfills has not, where an earlier version made it.
SELECT c.definition FROM (VALUES
    ('statement', 'statement integer NOT NULL DEFAULT 0'), ('account', $$account pg_catalog.text[] NOT NULL DEFAULT '{}'$$),
    ('busy', 'busy double precision NOT NULL DEFAULT 0'), ('horizon', $$horizon pg_catalog.text NOT NULL DEFAULT ''$$), ('cascaded', $$cascaded pg_catalog.jsonb NOT NULL DEFAULT '{}'$$),
    ('waiting', $$waiting pg_catalog.text NOT NULL DEFAULT ''$$), ('control', $$control pg_catalog.jsonb NOT NULL DEFAULT '{}'$$)
) AS c (name, definition)
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(own)s)::pg_catalog.oid
      AND a.attname::pg_catalog.text OPERATOR(pg_catalog.=) c.name AND NOT a.attisdropped);

-- name: horizon
-- The oldest transaction of this database that has a number and is open, or the next number; those of other databases change
-- no row here. And how far the server's WAL goes.
SELECT coalesce(
    (SELECT l.transactionid FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) l.pid
     WHERE l.locktype OPERATOR(pg_catalog.=) 'transactionid' AND l.granted AND l.mode OPERATOR(pg_catalog.=) 'ExclusiveLock'
       AND (a.datname IS NULL OR a.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
     ORDER BY pg_catalog.age(l.transactionid) DESC LIMIT 1),
    pg_catalog.pg_snapshot_xmax(pg_catalog.pg_current_snapshot())::pg_catalog.xid)::pg_catalog.text, pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text;

-- name: state
-- A table as it is now.
SELECT pg_catalog.pg_relation_filenode(c.oid)::bigint, pg_catalog.pg_relation_size(c.oid) OPERATOR(pg_catalog./) pg_catalog.current_setting('block_size')::int,
       pg_catalog.pg_relation_size(c.oid), pg_catalog.pg_indexes_size(c.oid)
FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) %(oid)s::pg_catalog.oid;

-- name: begin
-- A backfill begins.
INSERT INTO {schema}._pgyoyo_backfill AS b (migration_hash, migration_id, checksum, pid)
VALUES (%(hash)s, %(id)s, %(checksum)s, pg_catalog.pg_backend_pid());

-- name: resume
-- It is resumed, perhaps in another session.
UPDATE {schema}._pgyoyo_backfill SET pid = pg_catalog.pg_backend_pid(), updated_at = pg_catalog.clock_timestamp() WHERE migration_hash OPERATOR(pg_catalog.=) %(hash)s
RETURNING checksum, statement, account, finished, relation::bigint, filenode::bigint, high, zone_start, zone_end, turn, page, rows, batches,
    worked, busy, longest_batch, longest_wait, wal::pg_catalog.float8, heap_before, indexes_before, cascaded, horizon, pg_catalog.pg_current_wal_insert_lsn()::pg_catalog.text AS lsn;

-- name: save
-- Where it is, written in the transaction of the batch; the longest that anybody waits for this transaction, too, which is
-- about to end.
UPDATE {schema}._pgyoyo_backfill AS b SET
    updated_at = pg_catalog.clock_timestamp(), statement = %(statement)s, account = ARRAY(SELECT pg_catalog.jsonb_array_elements_text(%(account)s::pg_catalog.jsonb)),
    finished = %(finished)s, cascaded = %(cascaded)s, busy = %(busy)s, horizon = %(horizon)s, relation = %(relation)s, filenode = %(filenode)s,
    high = %(high)s, zone_start = %(zone_start)s, zone_end = %(zone_end)s, turn = %(turn)s, page = %(page)s,
    rows = %(rows)s, batches = %(batches)s, worked = %(worked)s, fraction = %(fraction)s,
    longest_batch = %(longest_batch)s, wal = %(wal)s OPERATOR(pg_catalog.+) pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_insert_lsn(), %(lsn)s)::pg_catalog.float8,
    heap_before = %(heap_before)s, indexes_before = %(indexes_before)s,
    waiting = '', longest_wait = greatest(%(longest_wait)s, w.longest)
FROM (
    SELECT extract(epoch FROM pg_catalog.max(pg_catalog.clock_timestamp() OPERATOR(pg_catalog.-) waitstart))::pg_catalog.float8 AS longest FROM pg_catalog.pg_locks
    WHERE NOT granted AND (locktype OPERATOR(pg_catalog.=) 'transactionid' AND transactionid OPERATOR(pg_catalog.=) pg_catalog.pg_current_xact_id()::pg_catalog.xid
        OR locktype OPERATOR(pg_catalog.=) 'tuple' AND relation OPERATOR(pg_catalog.=) %(relation)s::pg_catalog.oid)
) AS w
WHERE b.migration_hash OPERATOR(pg_catalog.=) %(hash)s
RETURNING b.longest_wait, b.wal, coalesce(w.longest, 0), b.control;

-- name: wait
-- It waits, and why; returns how a person steers it.
UPDATE {schema}._pgyoyo_backfill AS b SET waiting = %(waiting)s, updated_at = pg_catalog.clock_timestamp()
WHERE b.migration_hash OPERATOR(pg_catalog.=) %(hash)s RETURNING b.control::pg_catalog.text;

-- name: tell
-- A person steers it: new limits, a pause, or neither.
UPDATE {schema}._pgyoyo_backfill AS b SET control = (b.control OPERATOR(pg_catalog.-) %(dropped)s::pg_catalog.text[]) OPERATOR(pg_catalog.||) %(given)s::pg_catalog.jsonb
WHERE b.migration_hash OPERATOR(pg_catalog.=) %(hash)s RETURNING b.control::pg_catalog.text;
