-- What holds a file off the ledger while it runs, and shows behind it that it left the ledger alone: whole statements, and the
-- parts that are put into them.

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
