-- What one database has besides its schema; the search_path may be any. %(marker)s is the comment and %(limit)s the connection
-- limit of a scratch database, which another one does not have.

-- name: belongings
SELECT 'database', own.name, own.value
FROM pg_catalog.pg_database AS d
JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) d.datdba
LEFT JOIN pg_catalog.pg_shdescription AS c ON c.objoid OPERATOR(pg_catalog.=) d.oid
  AND c.classoid OPERATOR(pg_catalog.=) 'pg_catalog.pg_database'::pg_catalog.regclass
CROSS JOIN LATERAL (VALUES
  ('owner', CASE WHEN r.rolname OPERATOR(pg_catalog.=) %(runner)s::pg_catalog.text THEN 'postgres' ELSE r.rolname END),
  ('connection limit',
    CASE WHEN d.datconnlimit OPERATOR(pg_catalog.=) %(limit)s::pg_catalog.int4 THEN '-1' ELSE d.datconnlimit::pg_catalog.text END),
  ('template', CASE WHEN d.datistemplate THEN 'yes' ELSE 'no' END),
  ('comment', CASE WHEN c.description OPERATOR(pg_catalog.<>) %(marker)s::pg_catalog.text THEN c.description END)
) AS own (name, value)
WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database() AND own.value IS NOT NULL
UNION ALL
SELECT 'database privilege', coalesce(r.rolname, 'PUBLIC'), pg_catalog.string_agg(pg_catalog.concat(
  a.privilege_type, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' END), ', ' ORDER BY a.privilege_type)
FROM pg_catalog.pg_database AS d
CROSS JOIN pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) AS a
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) a.grantee
WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database() AND a.grantee OPERATOR(pg_catalog.<>) d.datdba
GROUP BY r.rolname
UNION ALL
SELECT 'database setting', pg_catalog.split_part(setting, '=', 1),
  pg_catalog.substr(setting, pg_catalog.strpos(setting, '=') OPERATOR(pg_catalog.+) 1)
FROM pg_catalog.pg_db_role_setting AS s
JOIN pg_catalog.pg_database AS d ON d.oid OPERATOR(pg_catalog.=) s.setdatabase
CROSS JOIN pg_catalog.unnest(s.setconfig) AS setting
WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database() AND s.setrole OPERATOR(pg_catalog.=) 0::pg_catalog.oid
UNION ALL
SELECT 'large object', m.oid::pg_catalog.text, pg_catalog.concat_ws(E'\n',
  'OWNER ' OPERATOR(pg_catalog.||) CASE WHEN r.rolname OPERATOR(pg_catalog.=) %(runner)s::pg_catalog.text THEN 'postgres' ELSE r.rolname END,
  'PRIVILEGES ' OPERATOR(pg_catalog.||) m.lomacl::pg_catalog.text, 'COMMENT ' OPERATOR(pg_catalog.||) pg_catalog.obj_description(m.oid, 'pg_largeobject'),
  -- The first 16 MB of what may be read here.
  'MD5 ' OPERATOR(pg_catalog.||) CASE WHEN pg_catalog.pg_has_role(m.lomowner, 'MEMBER') THEN pg_catalog.md5(pg_catalog.lo_get(m.oid, 0, 16777216)) END)
FROM pg_catalog.pg_largeobject_metadata AS m
JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) m.lomowner
ORDER BY 1, 2
