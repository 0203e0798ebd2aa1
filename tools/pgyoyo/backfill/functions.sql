-- Functions and triggers: which ones a statement calls or fires, and what they did.

-- name: cascaded
-- How many rows of these tables this transaction has deleted or updated by now, by their names.
SELECT pg_catalog.json_object_agg(t::pg_catalog.oid::pg_catalog.regclass::pg_catalog.text,
    pg_catalog.pg_stat_get_xact_tuples_deleted(t::pg_catalog.oid) OPERATOR(pg_catalog.+) pg_catalog.pg_stat_get_xact_tuples_updated(t::pg_catalog.oid))::pg_catalog.text
FROM pg_catalog.unnest(%(tables)s::pg_catalog.int8[]) t;

-- name: aggregates
-- Which of these functions are aggregates.
SELECT proname::pg_catalog.text FROM pg_catalog.pg_proc
WHERE proname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (%(names)s::pg_catalog.text[]) AND prokind OPERATOR(pg_catalog.=) 'a' AND pg_catalog.pg_function_is_visible(oid) ORDER BY 1 LIMIT 1;

-- name: volatile
-- Which of these functions may give another result each time, in whatever schema they are.
SELECT DISTINCT proname::pg_catalog.text FROM pg_catalog.pg_proc
WHERE proname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (%(names)s::pg_catalog.text[]) AND provolatile OPERATOR(pg_catalog.=) 'v';

-- name: functions
-- The functions of a name that are not built in, with their bodies; those of an aggregate or an operator of that name, too.
-- One in C of an extension is trusted, as is an immutable one of any language that can't be looked into.
WITH named AS (
    SELECT p.oid, p.prokind FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
    WHERE p.proname::pg_catalog.text OPERATOR(pg_catalog.=) %(name)s::pg_catalog.text
      AND (n.nspname::pg_catalog.text OPERATOR(pg_catalog.=) %(schema)s::pg_catalog.text OR %(schema)s::pg_catalog.text IS NULL AND pg_catalog.pg_function_is_visible(p.oid))
), called AS (
    SELECT named.oid FROM named WHERE named.prokind OPERATOR(pg_catalog.=) 'f'
    UNION SELECT f.oid FROM named JOIN pg_catalog.pg_aggregate a ON a.aggfnoid::pg_catalog.oid OPERATOR(pg_catalog.=) named.oid
    CROSS JOIN LATERAL pg_catalog.unnest(ARRAY[a.aggtransfn::pg_catalog.oid, a.aggfinalfn::pg_catalog.oid]) f (oid)
    UNION SELECT o.oprcode::pg_catalog.oid FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) o.oprnamespace
    WHERE o.oprname::pg_catalog.text OPERATOR(pg_catalog.=) %(name)s::pg_catalog.text
      AND (n.nspname::pg_catalog.text OPERATOR(pg_catalog.=) %(schema)s::pg_catalog.text OR %(schema)s::pg_catalog.text IS NULL AND pg_catalog.pg_operator_is_visible(o.oid))
)
SELECT p.oid::bigint, p.proname::pg_catalog.text AS name, l.lanname::pg_catalog.text AS language, pg_catalog.pg_get_functiondef(p.oid) AS definition,
       CASE WHEN p.prosqlbody IS NULL THEN p.prosrc END AS source,
       l.lanname OPERATOR(pg_catalog.<>) ALL ('{sql,plpgsql}'::pg_catalog.name[]) AND (p.provolatile OPERATOR(pg_catalog.=) 'i' OR EXISTS (
           SELECT FROM pg_catalog.pg_depend d WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) p.oid AND d.deptype OPERATOR(pg_catalog.=) 'e')) AS trusted
FROM called JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) called.oid JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid;

-- name: reached
-- The functions, by schema and name, that these views call, and our function of this session, if it is there: by themselves, or
-- by an operator, another view or the CHECK of a domain.
WITH RECURSIVE reached (class, id) AS (
    SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid, pg_catalog.to_regprocedure('pg_temp._pgyoyo_reads()')::pg_catalog.oid
    UNION SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, pg_catalog.to_regclass(r)::pg_catalog.oid FROM pg_catalog.unnest(%(relations)s::pg_catalog.text[]) r
    UNION SELECT d.refclassid, d.refobjid FROM reached CROSS JOIN LATERAL (
        SELECT reached.class, reached.id WHERE reached.class OPERATOR(pg_catalog.=) ANY (ARRAY['pg_catalog.pg_proc', 'pg_catalog.pg_operator']::pg_catalog.regclass[]::pg_catalog.oid[])
        UNION ALL SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass, w.oid FROM pg_catalog.pg_rewrite w
        WHERE reached.class OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND w.ev_class OPERATOR(pg_catalog.=) reached.id AND w.ev_type OPERATOR(pg_catalog.=) '1'
        UNION ALL SELECT 'pg_catalog.pg_constraint'::pg_catalog.regclass, k.oid FROM pg_catalog.pg_constraint k
        WHERE reached.class OPERATOR(pg_catalog.=) 'pg_catalog.pg_type'::pg_catalog.regclass AND k.contypid OPERATOR(pg_catalog.=) reached.id
    ) s (class, id) JOIN pg_catalog.pg_depend d ON d.classid OPERATOR(pg_catalog.=) s.class AND d.objid OPERATOR(pg_catalog.=) s.id
    WHERE d.refclassid OPERATOR(pg_catalog.=) ANY (ARRAY['pg_catalog.pg_proc', 'pg_catalog.pg_operator', 'pg_catalog.pg_class', 'pg_catalog.pg_type']::pg_catalog.regclass[]::pg_catalog.oid[])
)
SELECT DISTINCT n.nspname::pg_catalog.text, p.proname::pg_catalog.text FROM reached JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) reached.id
JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
WHERE reached.class OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass AND p.proname OPERATOR(pg_catalog.<>) '_pgyoyo_reads';

-- name: fires
-- A part of others: whether the trigger t fires for the event whose bit of tgtype {event} is, an UPDATE (16) by the {columns} that
-- it sets, generated ones included; with {skipping} under session_replication_role = replica.
NOT t.tgisinternal AND t.tgenabled OPERATOR(pg_catalog.=) ANY (CASE WHEN %(skipping)s THEN '{R,A}' ELSE '{O,A}' END::pg_catalog."char"[])
  AND t.tgtype OPERATOR(pg_catalog.&) %(event)s::pg_catalog.int2 OPERATOR(pg_catalog.<>) 0
  AND (%(event)s OPERATOR(pg_catalog.<>) 16 OR pg_catalog.cardinality(t.tgattr::pg_catalog.int2[]) OPERATOR(pg_catalog.=) 0 OR EXISTS (
      SELECT FROM pg_catalog.pg_attribute u WHERE u.attrelid OPERATOR(pg_catalog.=) t.tgrelid AND u.attnum OPERATOR(pg_catalog.=) ANY (t.tgattr)
        AND (u.attname::pg_catalog.text OPERATOR(pg_catalog.=) ANY (%(columns)s::pg_catalog.text[]) OR u.attgenerated OPERATOR(pg_catalog.<>) '')))

-- name: trigger_functions
-- The functions of the triggers that fire, by schema and name, with the name of the trigger.
SELECT DISTINCT n.nspname::pg_catalog.text, p.proname::pg_catalog.text, t.tgname::pg_catalog.text
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) t.tgfoid JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
WHERE t.tgrelid::bigint OPERATOR(pg_catalog.=) ANY (%(tables)s::pg_catalog.int8[]) AND {fires};

-- name: fired
-- The same triggers with when each fires, and its function.
SELECT t.tgname::pg_catalog.text AS name, CASE WHEN t.tgtype OPERATOR(pg_catalog.&) 2::pg_catalog.int2 OPERATOR(pg_catalog.<>) 0 THEN 'BEFORE' ELSE 'AFTER' END AS when,
       t.tgtype OPERATOR(pg_catalog.&) 1::pg_catalog.int2 OPERATOR(pg_catalog.<>) 0 AS for_each_row, l.lanname::pg_catalog.text AS language, pg_catalog.pg_get_functiondef(p.oid) AS definition
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid OPERATOR(pg_catalog.=) t.tgfoid JOIN pg_catalog.pg_language l ON l.oid OPERATOR(pg_catalog.=) p.prolang
WHERE t.tgrelid::bigint OPERATOR(pg_catalog.=) ANY (%(tables)s::pg_catalog.int8[]) AND {fires} ORDER BY t.tgname, t.tgrelid;

-- name: others_wrote
-- How many rows this transaction has written by now, table by table: what triggers and functions did besides.
SELECT relid::bigint, relid::pg_catalog.regclass::pg_catalog.text, n_tup_ins OPERATOR(pg_catalog.+) n_tup_upd OPERATOR(pg_catalog.+) n_tup_del FROM pg_catalog.pg_stat_xact_user_tables
WHERE n_tup_ins OPERATOR(pg_catalog.+) n_tup_upd OPERATOR(pg_catalog.+) n_tup_del OPERATOR(pg_catalog.>) 0;

-- name: is_superuser
-- Whether this role may set anything.
SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname OPERATOR(pg_catalog.=) current_user;

-- name: may_skip_triggers
-- Whether this role may set session_replication_role; from PostgreSQL 15 on.
SELECT pg_catalog.has_parameter_privilege('session_replication_role', 'SET');
