-- What is read from the ledger, and what a migration writes to it.

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
    'paused', coalesce(pg_catalog.to_jsonb(b) OPERATOR(pg_catalog.#>>) '{control,paused}' OPERATOR(pg_catalog.=) 'true', false),
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
-- Who ran a migration of the plain yoyo's is not known, not even where its files are accepted.
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
