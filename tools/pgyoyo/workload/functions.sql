-- The functions and procedures that are not an extension's. It runs on PostgreSQL 14 to 18.
-- System objects have OIDs below 16384 (FirstNormalObjectId, access/transam.h).

-- name: functions
SELECT p.oid::pg_catalog.regprocedure::pg_catalog.text, p.proname, l.lanname, p.prosrc, pg_catalog.pg_get_functiondef(p.oid),
  p.provolatile OPERATOR(pg_catalog.=) 'v'
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
JOIN pg_catalog.pg_language AS l ON l.oid OPERATOR(pg_catalog.=) p.prolang
WHERE p.oid OPERATOR(pg_catalog.>=) 16384 AND p.prokind OPERATOR(pg_catalog.=) ANY (ARRAY['f', 'p']::pg_catalog."char"[])
  AND n.nspname OPERATOR(pg_catalog.!~) '^pg_' AND l.lanname OPERATOR(pg_catalog.<>) ALL (ARRAY['c', 'internal']::pg_catalog.name[])
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS d
    WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) p.oid
      AND d.deptype OPERATOR(pg_catalog.=) 'e')
