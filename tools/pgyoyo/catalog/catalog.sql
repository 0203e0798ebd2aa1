-- The whole schema of the current database as rows (kind, identity, definition), in a fixed order.
--
--   kind        what it is: table, column, index, privilege, comment, ...
--   identity    its name, qualified with its schema, quoted where needed; unique within its kind
--   definition  its facts, one to a line; empty where there is nothing to say but that it exists
--
-- Run it with psql like this (the settings are the ones that change how PostgreSQL prints a definition):
--
--   PGOPTIONS='-c search_path= -c timezone=UTC -c datestyle=ISO -c intervalstyle=postgres -c jit=off' psql -f catalog.sql
--
-- It reads system catalogs only, in one statement that works in a READ ONLY transaction. To print the definitions of views,
-- rules and defaults PostgreSQL itself takes ACCESS SHARE locks on their tables; it waits where a table is being altered.
--
-- Left out: system schemas, temporary objects, members of extensions, the tables of pgyoyo (_pgyoyo_*) and of yoyo, and what
-- does not belong to the schema of one database: data and the current values of sequences, roles, tablespaces, settings and
-- privileges of the database itself, subscriptions, large objects.
--
-- A section with a line "only if" gives no row unless its condition holds: query.py leaves it out where it does not, since to plan
-- all of them takes four times as long as to run them. What a user made has an OID of 16384 or more.
--
-- No OIDs are shown, so two databases that were built the same way give the same rows. It runs on PostgreSQL 14 to 18: a column
-- that only later versions have is read by way of to_jsonb, or in a subquery whose outer query offers a NULL of that name.

WITH

-- Objects that came with another one and can't be changed alone: members of extensions, functions and casts of range types.
member AS MATERIALIZED (
  SELECT classid, objid
  FROM pg_depend
  WHERE deptype = 'e' AND refclassid = 'pg_extension'::regclass
  UNION ALL
  SELECT classid, objid
  FROM pg_depend
  WHERE deptype = 'i' AND classid IN ('pg_proc'::regclass, 'pg_cast'::regclass)
),

-- The schemas that are searched. A schema of an extension is among them: somebody else's table may stand in it.
namespace AS MATERIALIZED (
  SELECT oid, nspname, nspowner, nspacl, quote_ident(nspname) AS name
  FROM pg_namespace
  WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
),

-- Tables, views, sequences, composite types: everything in pg_class but indexes, with what the sections below need.
relation AS MATERIALIZED (
  SELECT c.oid, c.relname, c.relkind, c.relowner, c.relacl, c.relpersistence, c.relispartition, c.relpartbound, c.reltype,
    c.reloftype, c.relam, c.reltablespace, c.reltoastrelid, c.reloptions, c.relreplident, c.relrowsecurity,
    c.relforcerowsecurity, c.relispopulated, n.name || '.' || quote_ident(c.relname) AS identity
  FROM pg_class AS c
  JOIN namespace AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S', 'c')
    AND c.relpersistence <> 't'
    AND c.relname NOT IN ('_yoyo_migration', '_yoyo_log', '_yoyo_version', 'yoyo_lock')
    AND NOT starts_with(c.relname, '_pgyoyo_')
    AND NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)
),

-- Those whose objects are read: all of them, or the ones that reader.py asks for.
chosen AS MATERIALIZED (
  SELECT * FROM relation
  WHERE true
),

-- Types that were made as types: no row types of tables, no arrays, no multiranges (their range names them).
usertype AS MATERIALIZED (
  SELECT t.*, n.name || '.' || quote_ident(t.typname) AS identity
  FROM pg_type AS t
  JOIN namespace AS n ON n.oid = t.typnamespace
  WHERE (t.typtype IN ('b', 'd', 'e', 'r', 'p') OR t.typrelid IN (SELECT oid FROM relation WHERE relkind = 'c'))
    AND NOT starts_with(t.typname, '_pgyoyo_')
    AND NOT EXISTS (SELECT FROM pg_type AS element WHERE element.typarray = t.oid)
    AND NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_type'::regclass AND m.objid = t.oid)
),

-- Sequences, and the column that owns one: deptype 'a' for OWNED BY and serial, 'i' for an identity column.
sequence AS MATERIALIZED (
  SELECT r.oid, r.identity, r.relowner, r.relacl, d.refobjid AS relid, d.refobjsubid AS attnum, d.deptype,
    concat_ws(E'\n',
      'AS ' || format_type(s.seqtypid, NULL),
      CASE WHEN r.relpersistence = 'u' THEN 'UNLOGGED' END,
      'START WITH ' || s.seqstart,
      'INCREMENT BY ' || s.seqincrement,
      'MINVALUE ' || s.seqmin,
      'MAXVALUE ' || s.seqmax,
      'CACHE ' || s.seqcache,
      CASE WHEN s.seqcycle THEN 'CYCLE' END) AS facts
  FROM relation AS r
  JOIN pg_sequence AS s ON s.seqrelid = r.oid
  LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
    AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
  WHERE true
),

-- Indexes, and the facts that neither CREATE INDEX nor the constraint of an index tells.
index AS MATERIALIZED (
  SELECT c.oid, r.oid AS relid, n.name || '.' || quote_ident(c.relname) AS identity, k.oid AS constraint_oid, c.reloptions,
    concat_ws(E'\n',
      'ATTACHED TO ' || parent.inhparent::regclass,
      'TABLESPACE ' || quote_ident(ts.spcname),
      CASE WHEN NOT i.indisvalid THEN 'INVALID' END,
      CASE WHEN NOT i.indisready THEN 'NOT READY' END,
      CASE WHEN i.indisclustered THEN 'CLUSTERED ON' END,
      CASE WHEN i.indisreplident THEN 'REPLICA IDENTITY' END,
      target.facts) AS facts
  FROM pg_index AS i
  JOIN chosen AS r ON r.oid = i.indrelid
  JOIN pg_class AS c ON c.oid = i.indexrelid
  JOIN namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_constraint AS k ON k.conindid = c.oid AND k.conrelid = r.oid AND k.contype IN ('p', 'u', 'x')
  LEFT JOIN pg_inherits AS parent ON parent.inhrelid = c.oid
  LEFT JOIN pg_tablespace AS ts ON ts.oid = c.reltablespace
  CROSS JOIN LATERAL (
    -- Looked up for each index: to scan pg_attribute takes longer than all the rest, if few relations are read.
    SELECT string_agg(format('COLUMN %s STATISTICS %s', attnum, attstattarget), E'\n' ORDER BY attnum) AS facts
    FROM pg_attribute
    WHERE attrelid = c.oid AND attstattarget >= 0 AND attnum > 0
  ) AS target
),

-- Options of foreign data. Whatever may be a password is masked, by the option's name or inside its value.
option AS MATERIALIZED (
  SELECT source.catalog, source.oid, string_agg('OPTION ' || CASE
      WHEN split_part(o, '=', 1) ~* 'pass|secret|token|key' THEN split_part(o, '=', 1) || '=***'
      ELSE regexp_replace(o, '(://[^:/@]*:|pass\w*\s*=\s*)[^@\s]+', '\1***', 'gi') END, E'\n' ORDER BY o COLLATE "C") AS facts
  FROM (
    SELECT 'pg_foreign_data_wrapper'::regclass, oid, fdwoptions FROM pg_foreign_data_wrapper
    UNION ALL SELECT 'pg_foreign_server'::regclass, oid, srvoptions FROM pg_foreign_server
    UNION ALL SELECT 'pg_foreign_table'::regclass, ftrelid, ftoptions FROM pg_foreign_table
    UNION ALL SELECT 'pg_user_mapping'::regclass, umid, umoptions FROM pg_user_mappings
  ) AS source (catalog, oid, options), unnest(source.options) AS o
  GROUP BY source.catalog, source.oid
),

-- Every object with its place in the catalogs, for comments, owners and privileges, and its definition. Where the definition is
-- NULL, another row describes the object (or was dropped this very moment), and only its comment or privileges are shown.
object (relid, catalog, oid, subid, kind, identity, owner, acl, definition) AS MATERIALIZED (

  -- Schemas
  SELECT NULL::oid, 'pg_namespace'::regclass, n.oid, 0, 'schema', n.name, n.nspowner, n.nspacl, ''
  FROM namespace AS n
  WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_namespace'::regclass AND m.objid = n.oid)

  -- Extensions: the version, not their members
  UNION ALL
  SELECT NULL, 'pg_extension'::regclass, e.oid, 0, 'extension', quote_ident(e.extname), NULL, NULL,
    concat_ws(E'\n', 'VERSION ' || quote_literal(e.extversion), 'SCHEMA ' || e.extnamespace::regnamespace)
  FROM pg_extension AS e

  -- Enum types: the values in order
  -- only if: EXISTS (SELECT FROM pg_type WHERE oid >= 16384 AND typtype = 'e')
  UNION ALL
  SELECT NULL, 'pg_type'::regclass, t.oid, 0, 'type', t.identity, t.typowner, t.typacl,
    concat_ws(E'\n', 'ENUM', (
      SELECT string_agg(quote_literal(v.enumlabel), E'\n' ORDER BY v.enumsortorder)
      FROM pg_enum AS v
      WHERE v.enumtypid = t.oid))
  FROM usertype AS t
  WHERE t.typtype = 'e'

  -- Composite types: the attributes in order
  -- only if: EXISTS (SELECT FROM pg_class WHERE oid >= 16384 AND relkind = 'c')
  UNION ALL
  SELECT NULL, 'pg_type'::regclass, t.oid, 0, 'type', t.identity, t.typowner, t.typacl,
    concat_ws(E'\n', 'COMPOSITE', (
      SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
        CASE WHEN a.attcollation <> at.typcollation THEN 'COLLATE ' || a.attcollation::regcollation END),
        E'\n' ORDER BY a.attnum)
      FROM pg_attribute AS a
      JOIN pg_type AS at ON at.oid = a.atttypid
      WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
  FROM usertype AS t
  WHERE t.typtype = 'c'

  -- Range types
  -- only if: EXISTS (SELECT FROM pg_type WHERE oid >= 16384 AND typtype = 'r')
  UNION ALL
  SELECT NULL, 'pg_type'::regclass, t.oid, 0, 'type', t.identity, t.typowner, t.typacl,
    concat_ws(E'\n', 'RANGE',
      'SUBTYPE ' || format_type(g.rngsubtype, NULL),
      'SUBTYPE_OPCLASS ' || quote_ident(cn.nspname) || '.' || quote_ident(oc.opcname),
      'COLLATION ' || nullif(g.rngcollation, 0)::regcollation,
      'CANONICAL ' || nullif(g.rngcanonical, 0)::regproc,
      'SUBTYPE_DIFF ' || nullif(g.rngsubdiff, 0)::regproc,
      'MULTIRANGE_TYPE_NAME ' || format_type(g.rngmultitypid, NULL))
  FROM usertype AS t
  JOIN pg_range AS g ON g.rngtypid = t.oid
  JOIN pg_opclass AS oc ON oc.oid = g.rngsubopc
  JOIN pg_namespace AS cn ON cn.oid = oc.opcnamespace

  -- Base types, and the shells of types that were announced only
  -- only if: EXISTS (SELECT FROM pg_type WHERE oid >= 16384 AND typtype IN ('b', 'p') AND oid NOT IN (SELECT typarray FROM pg_type))
  UNION ALL
  SELECT NULL, 'pg_type'::regclass, t.oid, 0, 'type', t.identity, t.typowner, t.typacl,
    CASE WHEN t.typisdefined THEN concat_ws(E'\n', 'BASE',
      'INPUT ' || nullif(t.typinput, 0)::regproc,
      'OUTPUT ' || nullif(t.typoutput, 0)::regproc,
      'RECEIVE ' || nullif(t.typreceive, 0)::regproc,
      'SEND ' || nullif(t.typsend, 0)::regproc,
      'TYPMOD_IN ' || nullif(t.typmodin, 0)::regproc,
      'TYPMOD_OUT ' || nullif(t.typmodout, 0)::regproc,
      'ANALYZE ' || nullif(t.typanalyze, 0)::regproc,
      'SUBSCRIPT ' || nullif(t.typsubscript, 0)::regproc,
      'INTERNALLENGTH ' || t.typlen,
      CASE WHEN t.typbyval THEN 'PASSEDBYVALUE' END,
      'ALIGNMENT ' || CASE t.typalign WHEN 'c' THEN 'char' WHEN 's' THEN 'int2' WHEN 'i' THEN 'int4' ELSE 'double' END,
      'STORAGE ' || CASE t.typstorage
        WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END,
      'CATEGORY ' || quote_literal(t.typcategory::text),
      CASE WHEN t.typispreferred THEN 'PREFERRED' END,
      'DEFAULT ' || quote_literal(t.typdefault),
      'ELEMENT ' || format_type(nullif(t.typelem, 0), NULL),
      'DELIMITER ' || quote_literal(t.typdelim::text),
      CASE WHEN t.typcollation <> 0 THEN 'COLLATABLE' END)
    ELSE 'SHELL' END
  FROM usertype AS t
  WHERE t.typtype IN ('b', 'p')

  -- Domains with their constraints
  -- only if: EXISTS (SELECT FROM pg_type WHERE oid >= 16384 AND typtype = 'd')
  UNION ALL
  SELECT NULL, 'pg_type'::regclass, t.oid, 0, 'domain', t.identity, t.typowner, t.typacl,
    concat_ws(E'\n',
      format_type(t.typbasetype, t.typtypmod),
      CASE WHEN t.typcollation <> base.typcollation THEN 'COLLATE ' || t.typcollation::regcollation END,
      'DEFAULT ' || coalesce(pg_get_expr(t.typdefaultbin, 0), quote_literal(t.typdefault)),
      CASE WHEN t.typnotnull THEN 'NOT NULL' END, (
      -- A NOT NULL has a row of its own since 17; it stands here only if its name was chosen.
      SELECT string_agg(format('CONSTRAINT %I %s', k.conname, pg_get_constraintdef(k.oid)), E'\n' ORDER BY k.conname)
      FROM pg_constraint AS k
      WHERE k.contypid = t.oid AND (k.contype <> 'n' OR k.conname !~ '_not_null[0-9]*$')))
  FROM usertype AS t
  JOIN pg_type AS base ON base.oid = t.typbasetype
  WHERE t.typtype = 'd'

  -- Constraints of domains: for their comments only
  -- only if: EXISTS (SELECT FROM pg_type WHERE oid >= 16384 AND typtype = 'd')
  UNION ALL
  SELECT NULL, 'pg_constraint'::regclass, k.oid, 0, 'constraint', quote_ident(k.conname) || ' on ' || t.identity, NULL, NULL, NULL
  FROM usertype AS t
  JOIN pg_constraint AS k ON k.contypid = t.oid

  -- Collations: the column for the locale has had three names
  -- only if: EXISTS (SELECT FROM pg_collation WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_collation'::regclass, c.oid, 0, 'collation', n.name || '.' || quote_ident(c.collname), c.collowner, NULL,
    concat_ws(E'\n',
      'PROVIDER ' || CASE c.collprovider WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' WHEN 'c' THEN 'libc' ELSE 'default' END,
      CASE WHEN c.collprovider IN ('i', 'b') THEN 'LOCALE ' || quote_literal(
        coalesce(to_jsonb(c) ->> 'colllocale', to_jsonb(c) ->> 'colliculocale', c.collcollate)) END,
      CASE WHEN c.collprovider = 'c' THEN 'LC_COLLATE ' || quote_literal(c.collcollate) END,
      CASE WHEN c.collprovider = 'c' THEN 'LC_CTYPE ' || quote_literal(c.collctype) END,
      'RULES ' || quote_literal(to_jsonb(c) ->> 'collicurules'),
      CASE WHEN NOT c.collisdeterministic THEN 'NOT DETERMINISTIC' END)
  FROM pg_collation AS c
  JOIN namespace AS n ON n.oid = c.collnamespace
  WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_collation'::regclass AND m.objid = c.oid)

  -- Conversions between encodings
  -- only if: EXISTS (SELECT FROM pg_conversion WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_conversion'::regclass, c.oid, 0, 'conversion', n.name || '.' || quote_ident(c.conname), c.conowner, NULL,
    concat_ws(E'\n',
      CASE WHEN c.condefault THEN 'DEFAULT' END,
      format('FOR %L TO %L', pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding)),
      'FROM ' || c.conproc)
  FROM pg_conversion AS c
  JOIN namespace AS n ON n.oid = c.connamespace
  WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_conversion'::regclass AND m.objid = c.oid)

  -- Sequences: the one of an identity column stands with its column
  UNION ALL
  SELECT s.oid, 'pg_class'::regclass, s.oid, 0, 'sequence', s.identity, s.relowner, s.relacl,
    CASE WHEN s.deptype IS DISTINCT FROM 'i'
    THEN concat_ws(E'\n', s.facts, 'OWNED BY ' || r.identity || '.' || quote_ident(a.attname)) END
  FROM sequence AS s
  JOIN chosen AS c ON c.oid = s.oid
  LEFT JOIN relation AS r ON r.oid = s.relid
  LEFT JOIN pg_attribute AS a ON a.attrelid = s.relid AND a.attnum = s.attnum

  -- Tables, partitioned tables, partitions, foreign tables
  UNION ALL
  SELECT r.oid, 'pg_class'::regclass, r.oid, 0, CASE r.relkind WHEN 'f' THEN 'foreign table' ELSE 'table' END, r.identity,
    r.relowner, r.relacl,
    concat_ws(E'\n',
      CASE WHEN r.relpersistence = 'u' THEN 'UNLOGGED' END,
      'OF ' || format_type(nullif(r.reloftype, 0), NULL),
      CASE WHEN r.relispartition THEN 'PARTITION OF ' || parent.names || ' ' || pg_get_expr(r.relpartbound, r.oid)
        ELSE 'INHERITS ' || parent.names END,
      CASE WHEN parent.detaching THEN 'DETACH PENDING' END,
      CASE WHEN r.relkind = 'p' THEN 'PARTITION BY ' || pg_get_partkeydef(r.oid) END,
      'USING ' || quote_ident(am.amname),
      'TABLESPACE ' || quote_ident(ts.spcname),
      (SELECT string_agg('WITH ' || o, E'\n' ORDER BY o COLLATE "C") FROM unnest(r.reloptions) AS o),
      (SELECT string_agg('WITH toast.' || o, E'\n' ORDER BY o COLLATE "C") FROM unnest(toast.reloptions) AS o),
      CASE r.relreplident WHEN 'n' THEN 'REPLICA IDENTITY NOTHING' WHEN 'f' THEN 'REPLICA IDENTITY FULL' END,
      CASE WHEN r.relrowsecurity THEN 'ROW LEVEL SECURITY' END,
      CASE WHEN r.relforcerowsecurity THEN 'FORCE ROW LEVEL SECURITY' END,
      'SERVER ' || quote_ident(server.srvname),
      option.facts)
  FROM chosen AS r
  LEFT JOIN (
    SELECT inhrelid, string_agg(inhparent::regclass::text, ', ' ORDER BY inhseqno) AS names,
      bool_or(inhdetachpending) AS detaching
    FROM pg_inherits
    GROUP BY inhrelid
  ) AS parent ON parent.inhrelid = r.oid
  LEFT JOIN pg_class AS toast ON toast.oid = r.reltoastrelid
  LEFT JOIN pg_am AS am ON am.oid = r.relam AND am.amname <> 'heap'
  LEFT JOIN pg_tablespace AS ts ON ts.oid = r.reltablespace
  LEFT JOIN pg_foreign_table AS ft ON ft.ftrelid = r.oid
  LEFT JOIN pg_foreign_server AS server ON server.oid = ft.ftserver
  LEFT JOIN option ON option.catalog = 'pg_foreign_table'::regclass AND option.oid = r.oid
  WHERE r.relkind IN ('r', 'p', 'f')

  -- Columns. Those of a view follow from its query: here only what was set on one, such as a default.
  UNION ALL
  SELECT r.oid, 'pg_class'::regclass, r.oid, a.attnum, 'column', r.identity || '.' || quote_ident(a.attname), r.relowner, a.attacl,
    CASE WHEN r.relkind <> 'c' THEN nullif(concat_ws(E'\n',
      CASE WHEN r.relkind IN ('r', 'p', 'f') THEN format_type(a.atttypid, a.atttypmod) END,
      CASE WHEN r.relkind IN ('r', 'p', 'f') AND a.attcollation <> t.typcollation
        THEN 'COLLATE ' || a.attcollation::regcollation END,
      CASE WHEN a.attnotnull THEN 'NOT NULL' END,
      CASE a.attgenerated WHEN '' THEN 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)
        ELSE format('GENERATED ALWAYS AS (%s) %s', pg_get_expr(d.adbin, d.adrelid),
          CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END) END,
      CASE a.attidentity WHEN 'a' THEN 'GENERATED ALWAYS' WHEN 'd' THEN 'GENERATED BY DEFAULT' END
        || format(' AS IDENTITY (SEQUENCE NAME %s %s)', s.identity, replace(s.facts, E'\n', ' ')),
      CASE WHEN a.attstorage <> t.typstorage THEN 'STORAGE ' || CASE a.attstorage
        WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END END,
      CASE a.attcompression WHEN 'p' THEN 'COMPRESSION pglz' WHEN 'l' THEN 'COMPRESSION lz4' END,
      'STATISTICS ' || nullif(a.attstattarget, -1),
      CASE WHEN a.attinhcount > 0 AND NOT r.relispartition
        THEN CASE WHEN a.attislocal THEN 'INHERITED AND LOCAL' ELSE 'INHERITED' END END,
      'WITH ' || array_to_string(a.attoptions, ', '),
      'OPTIONS ' || array_to_string(a.attfdwoptions, ', ')), '') END
  FROM chosen AS r
  JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type AS t ON t.oid = a.atttypid
  LEFT JOIN pg_attrdef AS d ON d.adrelid = r.oid AND d.adnum = a.attnum
  LEFT JOIN sequence AS s ON s.relid = r.oid AND s.attnum = a.attnum AND s.deptype = 'i'
  WHERE r.relkind <> 'S'

  -- The order of columns: a fact of its own, so that a column that came back last is one difference
  UNION ALL
  SELECT r.oid, 'pg_class'::regclass, r.oid, 0, 'column order', r.identity, NULL, NULL,
    string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
  FROM chosen AS r
  JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  WHERE r.relkind IN ('r', 'p', 'f')
  GROUP BY r.oid, r.identity

  -- Constraints. Left out: the copies that a foreign key has on partitions, and, since PostgreSQL 18 has a row for each NOT NULL,
  -- those that say no more than the column does: no special property, and the name the server gave, which outlives a renaming.
  -- A NOT NULL whose name nobody chose is known by its column.
  UNION ALL
  SELECT r.oid, 'pg_constraint'::regclass, k.oid, 0, 'constraint', CASE WHEN k.contype = 'n' AND k.conname ~ '_not_null[0-9]*$'
      THEN format('not null of %s.%I', r.identity, a.attname) ELSE quote_ident(k.conname) || ' on ' || r.identity END,
    NULL, NULL,
    CASE WHEN k.contype <> 'n' OR k.connoinherit OR NOT k.convalidated OR (k.conislocal AND k.conname !~ '_not_null[0-9]*$')
    THEN pg_get_constraintdef(k.oid) || concat(
      CASE WHEN k.contype = 'c' AND k.coninhcount > 0
        THEN CASE WHEN k.conislocal THEN E'\nINHERITED AND LOCAL' ELSE E'\nINHERITED' END END,
      (SELECT string_agg(E'\nWITH ' || o, '' ORDER BY o COLLATE "C") FROM unnest(i.reloptions) AS o),
      E'\n' || nullif(i.facts, ''),
      CASE WHEN EXISTS (SELECT FROM pg_trigger WHERE tgconstraint = k.oid AND tgisinternal AND tgenabled <> 'O')
        THEN E'\nTRIGGERS DISABLED' END) END
  FROM chosen AS r
  JOIN pg_constraint AS k ON k.conrelid = r.oid
  LEFT JOIN index AS i ON i.constraint_oid = k.oid
  LEFT JOIN pg_attribute AS a ON k.contype = 'n' AND a.attrelid = r.oid AND a.attnum = k.conkey[1]
  WHERE k.contype IN ('c', 'p', 'u', 'x', 'n') OR (k.contype = 'f' AND k.conparentid = 0)

  -- Indexes: the one of a constraint stands with the constraint
  UNION ALL
  SELECT i.relid, 'pg_class'::regclass, i.oid, 0, 'index', i.identity, NULL, NULL,
    CASE WHEN i.constraint_oid IS NULL THEN pg_get_indexdef(i.oid) || coalesce(E'\n' || nullif(i.facts, ''), '') END
  FROM index AS i

  -- Views
  -- only if: EXISTS (SELECT FROM pg_class WHERE oid >= 16384 AND relkind IN ('v', 'm'))
  UNION ALL
  SELECT r.oid, 'pg_class'::regclass, r.oid, 0, CASE r.relkind WHEN 'v' THEN 'view' ELSE 'materialized view' END, r.identity,
    r.relowner, r.relacl,
    pg_get_viewdef(r.oid) || concat(
      E'\nUSING ' || quote_ident(am.amname),
      E'\nTABLESPACE ' || quote_ident(ts.spcname),
      (SELECT string_agg(E'\nWITH ' || o, '' ORDER BY o COLLATE "C") FROM unnest(r.reloptions) AS o),
      (SELECT string_agg(E'\nWITH toast.' || o, '' ORDER BY o COLLATE "C") FROM unnest(toast.reloptions) AS o),
      CASE WHEN NOT r.relispopulated THEN E'\nWITH NO DATA' END)
  FROM chosen AS r
  LEFT JOIN pg_class AS toast ON toast.oid = r.reltoastrelid
  LEFT JOIN pg_am AS am ON am.oid = r.relam AND am.amname <> 'heap'
  LEFT JOIN pg_tablespace AS ts ON ts.oid = r.reltablespace
  WHERE r.relkind IN ('v', 'm')

  -- Functions, procedures, window functions, aggregates (for which PostgreSQL prints no definition)
  -- only if: EXISTS (SELECT FROM pg_proc WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_proc'::regclass, p.oid, 0, CASE p.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
    p.oid::regprocedure::text, p.proowner, p.proacl,
    CASE WHEN p.prokind <> 'a' THEN rtrim(pg_get_functiondef(p.oid), E'\n')
    ELSE concat_ws(E'\n',
      format('(%s) RETURNS %s', pg_get_function_arguments(p.oid), pg_get_function_result(p.oid)),
      CASE g.aggkind WHEN 'o' THEN 'ORDERED SET' WHEN 'h' THEN 'HYPOTHETICAL' END,
      'SFUNC ' || nullif(g.aggtransfn, 0)::regprocedure,
      'STYPE ' || format_type(nullif(g.aggtranstype, 0), NULL),
      'SSPACE ' || nullif(g.aggtransspace, 0),
      'INITCOND ' || quote_literal(g.agginitval),
      'FINALFUNC ' || nullif(g.aggfinalfn, 0)::regprocedure,
      CASE WHEN g.aggfinalextra THEN 'FINALFUNC_EXTRA' END,
      CASE WHEN g.aggfinalfn <> 0 THEN concat('FINALFUNC_MODIFY ', g.aggfinalmodify) END,
      'COMBINEFUNC ' || nullif(g.aggcombinefn, 0)::regprocedure,
      'SERIALFUNC ' || nullif(g.aggserialfn, 0)::regprocedure,
      'DESERIALFUNC ' || nullif(g.aggdeserialfn, 0)::regprocedure,
      'MSFUNC ' || nullif(g.aggmtransfn, 0)::regprocedure,
      'MINVFUNC ' || nullif(g.aggminvtransfn, 0)::regprocedure,
      'MSTYPE ' || format_type(nullif(g.aggmtranstype, 0), NULL),
      'MSSPACE ' || nullif(g.aggmtransspace, 0),
      'MINITCOND ' || quote_literal(g.aggminitval),
      'MFINALFUNC ' || nullif(g.aggmfinalfn, 0)::regprocedure,
      CASE WHEN g.aggmfinalextra THEN 'MFINALFUNC_EXTRA' END,
      CASE WHEN g.aggmfinalfn <> 0 THEN concat('MFINALFUNC_MODIFY ', g.aggmfinalmodify) END,
      'SORTOP ' || nullif(g.aggsortop, 0)::regoperator,
      CASE p.proparallel WHEN 's' THEN 'PARALLEL SAFE' WHEN 'r' THEN 'PARALLEL RESTRICTED' END) END
  FROM pg_proc AS p
  JOIN namespace AS n ON n.oid = p.pronamespace
  LEFT JOIN pg_aggregate AS g ON g.aggfnoid = p.oid
  WHERE NOT starts_with(p.proname, '_pgyoyo_')
    AND NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid)

  -- Triggers. Those the server made for constraints are left out, and a partition's copy (internal in PostgreSQL 14) unless it
  -- is enabled differently.
  -- only if: EXISTS (SELECT FROM pg_trigger WHERE oid >= 16384)
  UNION ALL
  SELECT r.oid, 'pg_trigger'::regclass, t.oid, 0, 'trigger', quote_ident(t.tgname) || ' on ' || r.identity, NULL, NULL,
    pg_get_triggerdef(t.oid) || CASE t.tgenabled
      WHEN 'D' THEN E'\nDISABLED' WHEN 'R' THEN E'\nENABLED REPLICA' WHEN 'A' THEN E'\nENABLED ALWAYS' ELSE '' END
  FROM chosen AS r
  JOIN pg_trigger AS t ON t.tgrelid = r.oid
  LEFT JOIN pg_trigger AS parent ON parent.oid = t.tgparentid
  WHERE (NOT t.tgisinternal OR t.tgconstraint = 0) AND (parent.oid IS NULL OR parent.tgenabled <> t.tgenabled)

  -- Rules
  -- only if: EXISTS (SELECT FROM pg_rewrite WHERE oid >= 16384)
  UNION ALL
  SELECT r.oid, 'pg_rewrite'::regclass, w.oid, 0, 'rule', quote_ident(w.rulename) || ' on ' || r.identity, NULL, NULL,
    pg_get_ruledef(w.oid) || CASE w.ev_enabled
      WHEN 'D' THEN E'\nDISABLED' WHEN 'R' THEN E'\nENABLED REPLICA' WHEN 'A' THEN E'\nENABLED ALWAYS' ELSE '' END
  FROM chosen AS r
  JOIN pg_rewrite AS w ON w.ev_class = r.oid
  WHERE w.rulename <> '_RETURN'

  -- Policies of row level security
  -- only if: EXISTS (SELECT FROM pg_policy WHERE oid >= 16384)
  UNION ALL
  SELECT r.oid, 'pg_policy'::regclass, p.oid, 0, 'policy', quote_ident(p.polname) || ' on ' || r.identity, NULL, NULL,
    concat_ws(E'\n',
      CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
      'FOR ' || CASE p.polcmd
        WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
      'TO ' || (
        SELECT string_agg(grantee.name, ', ' ORDER BY grantee.name COLLATE "C")
        FROM unnest(p.polroles) AS role,
          LATERAL (SELECT CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END) AS grantee (name)),
      'USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
      'WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
  FROM chosen AS r
  JOIN pg_policy AS p ON p.polrelid = r.oid

  -- Extended statistics: an unset target is -1 until PostgreSQL 16, NULL since
  -- only if: EXISTS (SELECT FROM pg_statistic_ext WHERE oid >= 16384)
  UNION ALL
  SELECT r.oid, 'pg_statistic_ext'::regclass, s.oid, 0, 'statistics', n.name || '.' || quote_ident(s.stxname), s.stxowner, NULL,
    pg_get_statisticsobjdef(s.oid) || coalesce(E'\nSTATISTICS ' || nullif(s.stxstattarget, -1), '')
  FROM pg_statistic_ext AS s
  JOIN namespace AS n ON n.oid = s.stxnamespace
  JOIN chosen AS r ON r.oid = s.stxrelid

  -- Casts
  -- only if: EXISTS (SELECT FROM pg_cast WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_cast'::regclass, c.oid, 0, 'cast', format('(%s AS %s)', format_type(c.castsource, NULL),
    format_type(c.casttarget, NULL)), NULL, NULL,
    concat_ws(E'\n',
      CASE c.castmethod WHEN 'f' THEN 'WITH FUNCTION ' || c.castfunc::regprocedure WHEN 'i' THEN 'WITH INOUT'
        ELSE 'WITHOUT FUNCTION' END,
      CASE c.castcontext WHEN 'a' THEN 'AS ASSIGNMENT' WHEN 'i' THEN 'AS IMPLICIT' END)
  FROM pg_cast AS c
  WHERE c.oid >= 16384
    AND NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_cast'::regclass AND m.objid = c.oid)

  -- Operators
  -- only if: EXISTS (SELECT FROM pg_operator WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_operator'::regclass, o.oid, 0, 'operator', o.oid::regoperator::text, o.oprowner, NULL,
    CASE WHEN o.oprcode = 0 THEN 'SHELL'
    ELSE concat_ws(E'\n',
      'FUNCTION ' || o.oprcode::regprocedure,
      'COMMUTATOR ' || nullif(o.oprcom, 0)::regoperator,
      'NEGATOR ' || nullif(o.oprnegate, 0)::regoperator,
      'RESTRICT ' || nullif(o.oprrest, 0)::regproc,
      'JOIN ' || nullif(o.oprjoin, 0)::regproc,
      CASE WHEN o.oprcanhash THEN 'HASHES' END,
      CASE WHEN o.oprcanmerge THEN 'MERGES' END) END
  FROM pg_operator AS o
  JOIN namespace AS n ON n.oid = o.oprnamespace
  WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_operator'::regclass AND m.objid = o.oid)

  -- Operator families with all their operators and support functions
  -- only if: EXISTS (SELECT FROM pg_opfamily WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_opfamily'::regclass, f.oid, 0, 'operator family',
    format('%s.%I using %I', n.name, f.opfname, am.amname), f.opfowner, NULL,
    concat_ws(E'\n', (
      SELECT string_agg(concat_ws(' ', 'OPERATOR', o.amopstrategy, o.amopopr::regoperator,
        'FOR ORDER BY ' || sort.oid::regclass || '.' || quote_ident(sort.opfname)),
        E'\n' ORDER BY o.amopstrategy, o.amopopr::regoperator::text COLLATE "C")
      FROM pg_amop AS o
      LEFT JOIN pg_opfamily AS sort ON sort.oid = o.amopsortfamily
      WHERE o.amopfamily = f.oid), (
      SELECT string_agg(format('FUNCTION %s (%s, %s) %s', s.amprocnum, format_type(s.amproclefttype, NULL),
        format_type(s.amprocrighttype, NULL), s.amproc::regprocedure), E'\n'
        ORDER BY s.amprocnum, format_type(s.amproclefttype, NULL) COLLATE "C", format_type(s.amprocrighttype, NULL) COLLATE "C")
      FROM pg_amproc AS s
      WHERE s.amprocfamily = f.oid))
  FROM pg_opfamily AS f
  JOIN namespace AS n ON n.oid = f.opfnamespace
  JOIN pg_am AS am ON am.oid = f.opfmethod
  WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_opfamily'::regclass AND m.objid = f.oid)

  -- Operator classes
  -- only if: EXISTS (SELECT FROM pg_opclass WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_opclass'::regclass, c.oid, 0, 'operator class',
    format('%s.%I using %I', n.name, c.opcname, am.amname), c.opcowner, NULL,
    concat_ws(E'\n',
      'FOR TYPE ' || format_type(c.opcintype, NULL),
      CASE WHEN c.opcdefault THEN 'DEFAULT' END,
      format('FAMILY %I.%I', fn.nspname, f.opfname),
      'STORAGE ' || format_type(nullif(c.opckeytype, 0), NULL))
  FROM pg_opclass AS c
  JOIN namespace AS n ON n.oid = c.opcnamespace
  JOIN pg_am AS am ON am.oid = c.opcmethod
  JOIN pg_opfamily AS f ON f.oid = c.opcfamily
  JOIN pg_namespace AS fn ON fn.oid = f.opfnamespace
  WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_opclass'::regclass AND m.objid = c.oid)

  -- Text search: configurations, and the dictionaries that each looks up a token in
  -- only if: EXISTS (SELECT FROM pg_ts_config WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_ts_config'::regclass, c.oid, 0, 'text search configuration', n.name || '.' || quote_ident(c.cfgname), c.cfgowner,
    NULL,
    concat_ws(E'\n', format('PARSER %I.%I', pn.nspname, p.prsname), (
      SELECT string_agg(mapping.fact, E'\n' ORDER BY mapping.fact COLLATE "C")
      FROM (
        SELECT format('%s WITH %s', token.alias, string_agg(m.mapdict::regdictionary::text, ', ' ORDER BY m.mapseqno)) AS fact
        FROM pg_ts_config_map AS m
        JOIN ts_token_type(p.oid) AS token ON token.tokid = m.maptokentype
        WHERE m.mapcfg = c.oid
        GROUP BY token.alias
      ) AS mapping))
  FROM pg_ts_config AS c
  JOIN namespace AS n ON n.oid = c.cfgnamespace
  JOIN pg_ts_parser AS p ON p.oid = c.cfgparser
  JOIN pg_namespace AS pn ON pn.oid = p.prsnamespace
  WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_ts_config'::regclass AND m.objid = c.oid)

  -- Text search: dictionaries
  -- only if: EXISTS (SELECT FROM pg_ts_dict WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_ts_dict'::regclass, d.oid, 0, 'text search dictionary', n.name || '.' || quote_ident(d.dictname), d.dictowner, NULL,
    concat_ws(E'\n', format('TEMPLATE %I.%I', tn.nspname, t.tmplname), d.dictinitoption)
  FROM pg_ts_dict AS d
  JOIN namespace AS n ON n.oid = d.dictnamespace
  JOIN pg_ts_template AS t ON t.oid = d.dicttemplate
  JOIN pg_namespace AS tn ON tn.oid = t.tmplnamespace
  WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_ts_dict'::regclass AND m.objid = d.oid)

  -- Text search: templates
  -- only if: EXISTS (SELECT FROM pg_ts_template WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_ts_template'::regclass, t.oid, 0, 'text search template', n.name || '.' || quote_ident(t.tmplname), NULL, NULL,
    concat_ws(E'\n', 'INIT ' || nullif(t.tmplinit, 0)::regproc, 'LEXIZE ' || t.tmpllexize::regproc)
  FROM pg_ts_template AS t
  JOIN namespace AS n ON n.oid = t.tmplnamespace
  WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_ts_template'::regclass AND m.objid = t.oid)

  -- Text search: parsers
  -- only if: EXISTS (SELECT FROM pg_ts_parser WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_ts_parser'::regclass, p.oid, 0, 'text search parser', n.name || '.' || quote_ident(p.prsname), NULL, NULL,
    concat_ws(E'\n', 'START ' || p.prsstart::regproc, 'GETTOKEN ' || p.prstoken::regproc, 'END ' || p.prsend::regproc,
      'HEADLINE ' || nullif(p.prsheadline, 0)::regproc, 'LEXTYPES ' || p.prslextype::regproc)
  FROM pg_ts_parser AS p
  JOIN namespace AS n ON n.oid = p.prsnamespace
  WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_ts_parser'::regclass AND m.objid = p.oid)

  -- Procedural languages
  -- only if: EXISTS (SELECT FROM pg_language WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_language'::regclass, l.oid, 0, 'language', quote_ident(l.lanname), l.lanowner, l.lanacl,
    concat_ws(E'\n',
      CASE WHEN l.lanpltrusted THEN 'TRUSTED' END,
      'HANDLER ' || nullif(l.lanplcallfoid, 0)::regproc,
      'INLINE ' || nullif(l.laninline, 0)::regproc,
      'VALIDATOR ' || nullif(l.lanvalidator, 0)::regproc)
  FROM pg_language AS l
  WHERE l.oid >= 16384
    AND NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_language'::regclass AND m.objid = l.oid)

  -- Transforms of a type for a language
  -- only if: EXISTS (SELECT FROM pg_transform WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_transform'::regclass, t.oid, 0, 'transform',
    format('for %s language %I', format_type(t.trftype, NULL), l.lanname), NULL, NULL,
    concat_ws(E'\n',
      'FROM SQL WITH FUNCTION ' || nullif(t.trffromsql, 0)::regprocedure,
      'TO SQL WITH FUNCTION ' || nullif(t.trftosql, 0)::regprocedure)
  FROM pg_transform AS t
  JOIN pg_language AS l ON l.oid = t.trflang
  WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_transform'::regclass AND m.objid = t.oid)

  -- Access methods
  -- only if: EXISTS (SELECT FROM pg_am WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_am'::regclass, am.oid, 0, 'access method', quote_ident(am.amname), NULL, NULL,
    concat_ws(E'\n', CASE am.amtype WHEN 'i' THEN 'INDEX' ELSE 'TABLE' END, 'HANDLER ' || am.amhandler)
  FROM pg_am AS am
  WHERE am.oid >= 16384
    AND NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_am'::regclass AND m.objid = am.oid)

  -- Foreign data wrappers
  -- only if: EXISTS (SELECT FROM pg_foreign_data_wrapper WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_foreign_data_wrapper'::regclass, f.oid, 0, 'foreign data wrapper', quote_ident(f.fdwname), f.fdwowner, f.fdwacl,
    concat_ws(E'\n',
      'HANDLER ' || nullif(f.fdwhandler, 0)::regproc,
      'VALIDATOR ' || nullif(f.fdwvalidator, 0)::regproc,
      option.facts)
  FROM pg_foreign_data_wrapper AS f
  LEFT JOIN option ON option.catalog = 'pg_foreign_data_wrapper'::regclass AND option.oid = f.oid
  WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_foreign_data_wrapper'::regclass AND m.objid = f.oid)

  -- Foreign servers
  -- only if: EXISTS (SELECT FROM pg_foreign_server WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_foreign_server'::regclass, s.oid, 0, 'server', quote_ident(s.srvname), s.srvowner, s.srvacl,
    concat_ws(E'\n', 'TYPE ' || quote_literal(s.srvtype), 'VERSION ' || quote_literal(s.srvversion),
      'FOREIGN DATA WRAPPER ' || quote_ident(f.fdwname), option.facts)
  FROM pg_foreign_server AS s
  JOIN pg_foreign_data_wrapper AS f ON f.oid = s.srvfdw
  LEFT JOIN option ON option.catalog = 'pg_foreign_server'::regclass AND option.oid = s.oid
  WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_foreign_server'::regclass AND m.objid = s.oid)

  -- User mappings: from the view, which everyone may read and which hides what the reader may not see
  -- only if: EXISTS (SELECT FROM pg_foreign_server WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_user_mapping'::regclass, u.umid, 0, 'user mapping',
    format('for %s on %I', CASE u.umuser WHEN 0 THEN 'PUBLIC' ELSE quote_ident(u.usename) END, u.srvname), NULL, NULL,
    coalesce(option.facts, '')
  FROM pg_user_mappings AS u
  LEFT JOIN option ON option.catalog = 'pg_user_mapping'::regclass AND option.oid = u.umid

  -- Event triggers
  -- only if: EXISTS (SELECT FROM pg_event_trigger WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_event_trigger'::regclass, e.oid, 0, 'event trigger', quote_ident(e.evtname), e.evtowner, NULL,
    concat_ws(E'\n',
      'ON ' || e.evtevent,
      'WHEN TAG IN (' || array_to_string(e.evttags, ', ') || ')',
      'EXECUTE FUNCTION ' || e.evtfoid::regprocedure,
      CASE e.evtenabled WHEN 'D' THEN 'DISABLED' WHEN 'R' THEN 'ENABLED REPLICA' WHEN 'A' THEN 'ENABLED ALWAYS' END)
  FROM pg_event_trigger AS e
  WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_event_trigger'::regclass AND m.objid = e.oid)

  -- Publications. Whole schemas, column lists and row filters came with PostgreSQL 15: prattrs and prqual are columns of "same"
  -- where they exist and else the NULLs of "before_15"; schemas are found by their dependency, without naming the new catalog.
  -- only if: EXISTS (SELECT FROM pg_publication WHERE oid >= 16384)
  UNION ALL
  SELECT NULL, 'pg_publication'::regclass, p.oid, 0, 'publication', quote_ident(p.pubname), p.pubowner, NULL,
    concat_ws(E'\n',
      CASE WHEN p.puballtables THEN 'FOR ALL TABLES' END,
      'PUBLISH ' || concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
        CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END),
      CASE WHEN p.pubviaroot THEN 'VIA PARTITION ROOT' END,
      'GENERATED COLUMNS ' || nullif(to_jsonb(p) ->> 'pubgencols', 'n'), (
      SELECT string_agg('SCHEMA ' || d.refobjid::regnamespace, E'\n' ORDER BY d.refobjid::regnamespace::text COLLATE "C")
      FROM pg_depend AS link
      JOIN pg_depend AS d ON d.classid = link.classid AND d.objid = link.objid AND d.refclassid = 'pg_namespace'::regclass
      WHERE link.classid = to_regclass('pg_catalog.pg_publication_namespace')
        AND link.refclassid = 'pg_publication'::regclass AND link.refobjid = p.oid), (
      SELECT string_agg(concat_ws(' ', 'TABLE', r.identity, '(' || extra.columns || ')', 'WHERE ' || extra.filter),
        E'\n' ORDER BY r.identity COLLATE "C")
      FROM pg_publication_rel AS t
      JOIN relation AS r ON r.oid = t.prrelid
      CROSS JOIN (SELECT NULL::int2vector AS prattrs, NULL::pg_node_tree AS prqual) AS before_15
      CROSS JOIN LATERAL (
        SELECT (
          SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
          FROM pg_attribute AS a
          WHERE a.attrelid = same.prrelid AND a.attnum = ANY (prattrs)
        ), pg_get_expr(prqual, same.prrelid)
        FROM pg_publication_rel AS same
        WHERE same.oid = t.oid
      ) AS extra (columns, filter)
      WHERE t.prpubid = p.oid))
  FROM pg_publication AS p
  WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_publication'::regclass AND m.objid = p.oid)

),

-- Privileges as they are and as they were at first: by default for a new object, or as initdb or an extension left its own.
-- What is not in "object" may have got privileges too: what belongs to pg_catalog or to an extension.
grantable (relid, kind, identity, owner, acl, initial) AS (
  SELECT o.relid, o.kind, o.identity, o.owner, o.acl, acldefault(CASE o.kind
    WHEN 'column' THEN 'c' WHEN 'sequence' THEN 's' WHEN 'function' THEN 'f' WHEN 'procedure' THEN 'f' WHEN 'aggregate' THEN 'f'
    WHEN 'type' THEN 'T' WHEN 'domain' THEN 'T' WHEN 'schema' THEN 'n' WHEN 'language' THEN 'l'
    WHEN 'foreign data wrapper' THEN 'F' WHEN 'server' THEN 'S' ELSE 'r' END::"char", o.owner)
  FROM object AS o
  WHERE o.acl IS NOT NULL

  -- What belongs to the system, or to an extension
  UNION ALL
  SELECT NULL, given.kind, CASE given.letter
      WHEN 'f' THEN given.oid::regprocedure::text WHEN 'T' THEN format_type(given.oid, NULL)
      WHEN 'r' THEN given.oid::regclass::text WHEN 's' THEN given.oid::regclass::text ELSE quote_ident(given.name) END,
    given.owner, coalesce(given.acl, standard.acl), coalesce(given.initprivs, standard.acl)
  FROM (
    SELECT other.*, i.initprivs
    FROM (
      SELECT 'pg_proc'::regclass, oid, pronamespace, 'function', 'f'::"char", proname, proowner, proacl FROM pg_proc
        -- Rows as initdb's bootstrap wrote them have no privileges, and were never changed: 3,250 of 3,400.
        WHERE xmin <> '1'::xid
      UNION ALL SELECT 'pg_class'::regclass, oid, relnamespace,
        CASE relkind WHEN 'S' THEN 'sequence' WHEN 'v' THEN 'view' ELSE 'table' END,
        CASE relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", relname, relowner, relacl FROM pg_class WHERE relpersistence <> 't'
      UNION ALL SELECT 'pg_type'::regclass, oid, typnamespace, 'type', 'T', typname, typowner, typacl FROM pg_type
      UNION ALL SELECT 'pg_namespace'::regclass, oid, oid, 'schema', 'n', nspname, nspowner, nspacl FROM pg_namespace
      UNION ALL SELECT 'pg_language'::regclass, oid, NULL, 'language', 'l', lanname, lanowner, lanacl FROM pg_language
      UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid, NULL, 'foreign data wrapper', 'F', fdwname, fdwowner, fdwacl
        FROM pg_foreign_data_wrapper
    ) AS other (catalog, oid, namespace, kind, letter, name, owner, acl)
    LEFT JOIN pg_init_privs AS i ON i.classoid = other.catalog AND i.objoid = other.oid AND i.objsubid = 0
    WHERE other.acl IS DISTINCT FROM i.initprivs
    -- A fence: the thousands of objects that nobody granted anything on are left out first, before any is looked up.
    OFFSET 0
  ) AS given
  CROSS JOIN LATERAL acldefault(given.letter, given.owner) AS standard (acl)
  WHERE given.namespace IS DISTINCT FROM 'information_schema'::regnamespace
    AND given.name NOT IN ('_yoyo_migration', '_yoyo_log', '_yoyo_version', 'yoyo_lock')
    AND NOT starts_with(given.name, '_pgyoyo_')
    AND NOT EXISTS (SELECT FROM object AS o WHERE o.catalog = given.catalog AND o.oid = given.oid)
    AND NOT EXISTS (SELECT FROM relation AS r WHERE given.catalog = 'pg_class'::regclass AND r.oid = given.oid)

  -- Columns of the system's tables, and of extensions'
  -- only if: EXISTS (SELECT FROM pg_attribute AS a WHERE attacl IS NOT NULL AND NOT EXISTS (SELECT FROM pg_init_privs WHERE classoid = 1259 AND objoid = attrelid AND objsubid = attnum AND initprivs = attacl))
  UNION ALL
  SELECT NULL, 'column', format('%s.%I', c.oid::regclass, a.attname), c.relowner, a.attacl, coalesce(i.initprivs, acldefault('c', c.relowner))
  FROM pg_attribute AS a
  JOIN pg_class AS c ON c.oid = a.attrelid
  LEFT JOIN pg_init_privs AS i ON i.classoid = 'pg_class'::regclass AND i.objoid = a.attrelid AND i.objsubid = a.attnum
  WHERE a.attacl IS NOT NULL AND a.attacl IS DISTINCT FROM i.initprivs
    AND c.relnamespace <> 'information_schema'::regnamespace AND c.relpersistence <> 't' AND NOT a.attisdropped
    AND c.relname NOT IN ('_yoyo_migration', '_yoyo_log', '_yoyo_version', 'yoyo_lock') AND NOT starts_with(c.relname, '_pgyoyo_')
    AND NOT EXISTS (SELECT FROM relation AS r WHERE r.oid = c.oid)

  -- What ALTER DEFAULT PRIVILEGES set: for one schema it adds to the defaults, for all of them it replaces them
  UNION ALL
  SELECT NULL, 'default', concat_ws(' ', 'for', quote_ident(pg_get_userbyid(d.defaclrole)),
    'in schema ' || nullif(d.defaclnamespace, 0)::regnamespace, 'on', CASE d.defaclobjtype
      WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions' WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas'
      ELSE 'large objects' END),
    d.defaclrole, d.defaclacl, CASE WHEN d.defaclnamespace = 0
      THEN acldefault(CASE d.defaclobjtype WHEN 'S' THEN 's' ELSE d.defaclobjtype END, d.defaclrole) END
  FROM pg_default_acl AS d

)

SELECT kind, identity, definition
FROM (
  SELECT o.relid, o.kind, o.identity, o.definition
  FROM object AS o

  -- Owners
  UNION ALL
  SELECT o.relid, 'owner', o.kind || ' ' || o.identity, quote_ident(pg_get_userbyid(o.owner))
  FROM object AS o
  WHERE o.owner IS NOT NULL AND o.subid = 0

  -- Privileges of each grantee, where they are not the initial ones. The owner has no name here: it may be another elsewhere.
  UNION ALL
  SELECT g.relid, 'privilege',
    format('%s %s to %s', g.kind, g.identity, CASE entry.grantee WHEN 0 THEN 'PUBLIC' WHEN g.owner THEN 'its owner'
      ELSE quote_ident(pg_get_userbyid(entry.grantee)) END),
    coalesce(string_agg(entry.fact, E'\n' ORDER BY entry.fact COLLATE "C") FILTER (WHERE entry.now), 'ALL REVOKED')
  FROM grantable AS g
  CROSS JOIN LATERAL (
    SELECT listed.grantee, listed.now, concat(listed.privilege_type,
      -- An owner may grant all that there is, granted or not.
      CASE WHEN listed.is_grantable AND listed.grantee <> g.owner THEN ' WITH GRANT OPTION' END,
      CASE WHEN listed.grantor <> g.owner THEN ' GRANTED BY ' || quote_ident(pg_get_userbyid(listed.grantor)) END) AS fact
    FROM (
      SELECT true AS now, a.* FROM aclexplode(g.acl) AS a
      UNION ALL
      SELECT false, a.* FROM aclexplode(g.initial) AS a
    ) AS listed
  ) AS entry
  GROUP BY g.relid, g.kind, g.identity, g.owner, entry.grantee
  HAVING string_agg(entry.fact, E'\n' ORDER BY entry.fact) FILTER (WHERE entry.now)
    IS DISTINCT FROM string_agg(entry.fact, E'\n' ORDER BY entry.fact) FILTER (WHERE NOT entry.now)

  -- What goes with an extension, though it is no member of it
  -- only if: EXISTS (SELECT FROM pg_depend WHERE deptype = 'x')
  UNION ALL
  SELECT o.relid, 'extension dependency', o.kind || ' ' || o.identity,
    string_agg(quote_ident(e.extname), E'\n' ORDER BY e.extname COLLATE "C")
  FROM object AS o
  JOIN pg_depend AS d ON d.classid = o.catalog AND d.objid = o.oid AND d.deptype = 'x'
  JOIN pg_extension AS e ON e.oid = d.refobjid
  WHERE o.subid = 0 AND o.kind <> 'column order'
  GROUP BY o.relid, o.kind, o.identity

  -- Comments
  UNION ALL
  SELECT o.relid, 'comment', o.kind || ' ' || o.identity, d.description
  FROM object AS o
  JOIN pg_description AS d ON d.classoid = o.catalog AND d.objoid = o.oid AND d.objsubid = o.subid
  WHERE o.kind <> 'column order'
    -- Of the server's own objects only the schema public and the extension plpgsql are in "object": 4,500 comments less to read.
    AND (d.objoid >= 16384 OR d.classoid IN ('pg_namespace'::regclass, 'pg_extension'::regclass))

  -- Security labels
  UNION ALL
  SELECT o.relid, 'security label', format('%s %s for %I', o.kind, o.identity, l.provider), l.label
  FROM object AS o
  JOIN pg_seclabel AS l ON l.classoid = o.catalog AND l.objoid = o.oid AND l.objsubid = o.subid
  WHERE o.kind <> 'column order'
) AS fact
WHERE definition IS NOT NULL
ORDER BY kind COLLATE "C", identity COLLATE "C", definition COLLATE "C";
