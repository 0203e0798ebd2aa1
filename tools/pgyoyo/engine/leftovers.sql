-- Whatever a schema of the search_path holds, only pg_catalog's functions and operators run.

-- name: index
-- An index by its name and table, and whether it is valid: one that a build left behind is not.
SELECT c.oid::pg_catalog.regclass::pg_catalog.text, i.indisvalid
FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
WHERE c.oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(index)s::pg_catalog.text)::pg_catalog.oid
  AND (%(table)s::pg_catalog.text IS NULL
       OR i.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(table)s::pg_catalog.text)::pg_catalog.oid);

-- name: unnamed
-- An index without a name in the file: those on its table with the same columns and the kind of name that the server gives
-- (ChooseIndexName in indexcmds.c). One that another session may be building at this moment is not among them.
SELECT c.oid::pg_catalog.regclass::pg_catalog.text, i.indisvalid
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
JOIN pg_catalog.pg_am AS a ON a.oid OPERATOR(pg_catalog.=) c.relam
WHERE i.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(table)s::pg_catalog.text)::pg_catalog.oid
  AND i.indisunique OPERATOR(pg_catalog.=) %(unique)s::pg_catalog.bool
  AND a.amname::pg_catalog.text OPERATOR(pg_catalog.=) %(method)s::pg_catalog.text
  AND (i.indpred IS NOT NULL) OPERATOR(pg_catalog.=) %(partial)s::pg_catalog.bool
  AND c.relname OPERATOR(pg_catalog.~) '_(idx|key|excl)[0-9]*$'
  AND ARRAY(
      SELECT coalesce(k.attname::pg_catalog.text, '')
      FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS u (number, place)
      LEFT JOIN pg_catalog.pg_attribute AS k ON k.attrelid OPERATOR(pg_catalog.=) i.indrelid
        AND k.attnum OPERATOR(pg_catalog.=) u.number AND u.number OPERATOR(pg_catalog.>) 0::pg_catalog.int2
      ORDER BY u.place
  ) OPERATOR(pg_catalog.=) %(columns)s::pg_catalog.text[]
  AND (i.indisvalid OR NOT EXISTS (
      SELECT FROM pg_catalog.pg_locks AS l
      WHERE l.relation OPERATOR(pg_catalog.=) i.indrelid AND l.mode OPERATOR(pg_catalog.=) 'ShareUpdateExclusiveLock'
        AND l.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid()));

-- name: left_by_reindex
-- What an interrupted REINDEX CONCURRENTLY left on the table, or on the table of the index.
SELECT c.oid::pg_catalog.regclass::pg_catalog.text
FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
WHERE NOT i.indisvalid AND c.relname OPERATOR(pg_catalog.~) '_cc(new|old)[0-9]*$'
  AND i.indrelid OPERATOR(pg_catalog.=) coalesce(pg_catalog.to_regclass(%(table)s::pg_catalog.text)::pg_catalog.oid, (
      SELECT x.indrelid FROM pg_catalog.pg_index AS x
      WHERE x.indexrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(index)s::pg_catalog.text)::pg_catalog.oid));

-- name: inherits
-- Whether a partition is half detached; no row where it is none any more.
SELECT i.inhdetachpending FROM pg_catalog.pg_inherits AS i
WHERE i.inhparent OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(parent)s::pg_catalog.text)::pg_catalog.oid
  AND i.inhrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%(child)s::pg_catalog.text)::pg_catalog.oid;

-- name: code
-- The code of the functions and procedures with these names, but for PostgreSQL's own and those of extensions.
SELECT p.proname::pg_catalog.text,
       pg_catalog.concat(p.prosrc, ' ', pg_catalog.pg_get_function_sqlbody(p.oid))
FROM pg_catalog.pg_proc AS p
WHERE p.proname OPERATOR(pg_catalog.=) ANY (%(names)s::pg_catalog.name[]) AND p.oid OPERATOR(pg_catalog.>=) 16384
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_proc'::pg_catalog.regclass
                    AND d.objid OPERATOR(pg_catalog.=) p.oid AND d.deptype OPERATOR(pg_catalog.=) 'e');

-- name: fired
-- The functions of the triggers of tables with these names, and, after other `commands` than those on rows, of event triggers.
SELECT DISTINCT p.proname::pg_catalog.text
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) t.tgrelid
JOIN pg_catalog.pg_proc AS p ON p.oid OPERATOR(pg_catalog.=) t.tgfoid
WHERE NOT t.tgisinternal AND t.tgenabled OPERATOR(pg_catalog.<>) 'D'
  AND c.relname OPERATOR(pg_catalog.=) ANY (%(tables)s::pg_catalog.name[])
UNION
SELECT p.proname::pg_catalog.text
FROM pg_catalog.pg_event_trigger AS e JOIN pg_catalog.pg_proc AS p ON p.oid OPERATOR(pg_catalog.=) e.evtfoid
WHERE %(commands)s AND e.evtenabled OPERATOR(pg_catalog.<>) 'D';
