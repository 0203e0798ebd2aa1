-- What all databases of a server share: kind, name, further names, value, and the transaction that wrote it. What belongs to a
-- scratch database is left out: it goes with it. `mark` is the comment on roles that were lent (lent.py).

-- name: roles
-- Without those that were lent, which go when no run needs them (see lent.py).
SELECT 'role', r.rolname, NULL, NULL,
  concat_ws(' ',
    CASE WHEN r.rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END, CASE WHEN r.rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
    CASE WHEN r.rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END,
    CASE WHEN r.rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END, CASE WHEN r.rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END,
    CASE WHEN r.rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END,
    CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END, 'CONNECTION LIMIT', r.rolconnlimit,
    'VALID UNTIL ' || pg_catalog.quote_literal(r.rolvaliduntil::text),
    'PASSWORD', pg_catalog.quote_nullable(r.rolpassword)),
  r.xmin::text::bigint
FROM pg_catalog.pg_authid AS r
WHERE coalesce(pg_catalog.shobj_description(r.oid, 'pg_authid') <> %(mark)s, true);

-- name: visible_roles
-- For a role that may not read pg_authid: it changes no password, and nothing tells which transaction wrote a row.
SELECT 'role', r.rolname, NULL, NULL, '', NULL::bigint FROM pg_catalog.pg_roles AS r
WHERE coalesce(pg_catalog.shobj_description(r.oid, 'pg_authid') <> %(mark)s, true);

-- name: others
SELECT 'setting', r.rolname, d.datname, pg_catalog.split_part(setting, '=', 1),
  pg_catalog.substr(setting, pg_catalog.strpos(setting, '=') + 1), s.xmin::text::bigint
FROM pg_catalog.pg_db_role_setting AS s
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
LEFT JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
CROSS JOIN pg_catalog.unnest(s.setconfig) AS setting
WHERE d.datname IS NULL OR NOT starts_with(d.datname, 'pgyoyo_')
UNION ALL
SELECT 'database', d.datname, NULL, NULL,
  concat_ws(' ', 'ALLOW_CONNECTIONS', d.datallowconn::text, 'CONNECTION LIMIT', d.datconnlimit, 'IS_TEMPLATE', d.datistemplate::text),
  d.xmin::text::bigint
FROM pg_catalog.pg_database AS d WHERE NOT starts_with(d.datname, 'pgyoyo_')
UNION ALL
SELECT 'owner', d.datname, NULL, NULL, pg_catalog.quote_ident(r.rolname), d.xmin::text::bigint
FROM pg_catalog.pg_database AS d JOIN pg_catalog.pg_roles AS r ON r.oid = d.datdba
WHERE NOT starts_with(d.datname, 'pgyoyo_')
UNION ALL
SELECT 'privilege', d.datname, coalesce(r.rolname, 'public'), a.privilege_type,
  CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END, d.xmin::text::bigint
FROM pg_catalog.pg_database AS d
CROSS JOIN pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) AS a
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee
WHERE NOT starts_with(d.datname, 'pgyoyo_') AND a.grantee <> d.datdba
UNION ALL
SELECT 'tablespace', t.spcname, NULL, NULL, concat_ws(' ', t.spcowner::regrole, t.spcacl::text, t.spcoptions::text),
  t.xmin::text::bigint
FROM pg_catalog.pg_tablespace AS t
UNION ALL
SELECT 'comment', coalesce(r.rolname, d.datname, t.spcname),
  CASE WHEN r.rolname IS NOT NULL THEN 'ROLE' WHEN d.datname IS NOT NULL THEN 'DATABASE' ELSE 'TABLESPACE' END, NULL,
  c.description, c.xmin::text::bigint
FROM pg_catalog.pg_shdescription AS c
LEFT JOIN pg_catalog.pg_roles AS r ON c.classoid = 'pg_catalog.pg_authid'::regclass AND r.oid = c.objoid
LEFT JOIN pg_catalog.pg_database AS d ON c.classoid = 'pg_catalog.pg_database'::regclass AND d.oid = c.objoid
LEFT JOIN pg_catalog.pg_tablespace AS t ON c.classoid = 'pg_catalog.pg_tablespace'::regclass AND t.oid = c.objoid
WHERE coalesce(r.rolname, d.datname, t.spcname) IS NOT NULL AND c.description <> %(mark)s AND NOT starts_with(coalesce(d.datname, ''), 'pgyoyo_');

-- name: parameters
SELECT 'parameter', p.parname, coalesce(r.rolname, 'public'), a.privilege_type,
  CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END, p.xmin::text::bigint
FROM pg_catalog.pg_parameter_acl AS p
CROSS JOIN pg_catalog.aclexplode(p.paracl) AS a
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = a.grantee;

-- name: memberships
SELECT 'membership', r.rolname, m.rolname, NULL, CASE WHEN a.admin_option THEN ' WITH ADMIN OPTION' ELSE '' END,
  a.xmin::text::bigint
FROM pg_catalog.pg_auth_members AS a
JOIN pg_catalog.pg_roles AS r ON r.oid = a.roleid
JOIN pg_catalog.pg_roles AS m ON m.oid = a.member
WHERE NOT EXISTS (
  SELECT FROM pg_catalog.pg_shdescription AS c
  WHERE c.classoid = 'pg_catalog.pg_authid'::regclass AND c.objoid IN (a.roleid, a.member) AND c.description = %(mark)s);

-- name: memberships_by_grantor
-- Since 16 a role may be a member by several, each with options of its own.
SELECT 'membership', r.rolname, m.rolname, g.rolname,
  concat(' WITH ADMIN ', a.admin_option::text, ', INHERIT ', a.inherit_option::text, ', SET ', a.set_option::text), a.xmin::text::bigint
FROM pg_catalog.pg_auth_members AS a
JOIN pg_catalog.pg_roles AS r ON r.oid = a.roleid
JOIN pg_catalog.pg_roles AS m ON m.oid = a.member
JOIN pg_catalog.pg_roles AS g ON g.oid = a.grantor
WHERE NOT EXISTS (
  SELECT FROM pg_catalog.pg_shdescription AS c
  WHERE c.classoid = 'pg_catalog.pg_authid'::regclass AND c.objoid IN (a.roleid, a.member) AND c.description = %(mark)s);
