"""Empty databases for tests, used again: cleaning one waits for no checkpoint, as dropping it and making another does."""

import os
from contextlib import suppress
from itertools import count

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgyoyo.scratch import databases

# What tests make most. The schema public stays: one made anew would have another owner and other privileges.
_CLEAN = """
DO $$
DECLARE
  statement text;
BEGIN
  PERFORM set_config('search_path', '', true), set_config('client_min_messages', 'warning', true);
  FOR statement IN
    SELECT format('DROP SCHEMA IF EXISTS %I CASCADE', nspname) FROM pg_namespace
    WHERE nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'public')
    UNION ALL
    SELECT format('DROP %s IF EXISTS public.%I CASCADE', CASE relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
      WHEN 'S' THEN 'SEQUENCE' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'c' THEN 'TYPE' ELSE 'TABLE' END, relname)
    FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
    UNION ALL
    SELECT 'DROP ROUTINE IF EXISTS ' || oid::regprocedure || ' CASCADE' FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT format('DROP TYPE IF EXISTS public.%I CASCADE', typname) FROM pg_type AS t
    WHERE typnamespace = 'public'::regnamespace AND typrelid = 0
      AND NOT EXISTS (SELECT FROM pg_type AS element WHERE element.typarray = t.oid)
  LOOP
    EXECUTE statement;
  END LOOP;
END $$
"""

# What stays in a clean database, as one row: the same in every copy of template0 that no test left anything in. The last
# transaction that wrote a row of a catalog tells whether a test changed what was there.
_STATE = """
SELECT d.datdba, d.datacl::text, d.datconnlimit, d.datallowconn, d.datistemplate, d.dattablespace, d.datcollate,
  shobj_description(d.oid, 'pg_database'),
  (SELECT count(*) FROM pg_shdepend WHERE dbid = d.oid),
  (SELECT count(*) FROM pg_db_role_setting WHERE setdatabase = d.oid),
  (SELECT count(*) FROM pg_replication_slots WHERE database = d.datname),
  (SELECT count(*) FROM pg_subscription WHERE subdbid = d.oid),
  (SELECT count(*) FROM pg_depend WHERE objid >= 16384 OR refobjid >= 16384),
  (SELECT count(*) FROM pg_publication), (SELECT count(*) FROM pg_event_trigger), (SELECT count(*) FROM pg_default_acl),
  (SELECT count(*) FROM pg_foreign_data_wrapper), (SELECT count(*) FROM pg_largeobject_metadata),
  (SELECT count(*) FROM pg_seclabel), (SELECT count(*) FROM pg_constraint),
  rows.of_catalogs
FROM pg_database AS d, (
  SELECT array_agg((number, last)::text) FROM (
    SELECT count(*), max(xmin::text::bigint) FROM pg_description
    UNION ALL SELECT count(*), max(xmin::text::bigint) FROM pg_init_privs
    UNION ALL SELECT count(*), max(xmin::text::bigint) FROM pg_language
    UNION ALL SELECT count(*), max(xmin::text::bigint) FROM pg_extension
    UNION ALL SELECT count(*), max(xmin::text::bigint) FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_'
    UNION ALL SELECT count(*), max(xmin::text::bigint) FROM pg_class
    UNION ALL SELECT count(*), max(xmin::text::bigint) FROM pg_proc
    UNION ALL SELECT count(*), max(xmin::text::bigint) FROM pg_type
  ) AS catalog (number, last)
) AS rows (of_catalogs)
WHERE d.datname = current_database()
"""


class Databases:
    """The databases of one test process, made with the session `admin`."""

    def __init__(self, admin: psycopg.Connection) -> None:
        self.admin = admin
        self._numbers = count(1)
        self._free: list[str] = []
        self._empty: object = None

    def take(self) -> str:
        """The name of an empty one."""
        if self._free:
            return self._free.pop()
        name = f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}_{os.getpid()}_{next(self._numbers)}"
        databases.create(self.admin, name)
        if self._empty is None:
            with self._connect(name) as conn:
                self._empty = conn.execute(_STATE).fetchone()
        return name

    def give_back(self, name: str) -> None:
        """Keep it for another test if it can be cleaned, else drop it, whoever is connected."""
        databases._let_go(self.admin, name, 0.1)
        with suppress(psycopg.Error):
            if not self.admin.execute("SELECT FROM pg_stat_activity WHERE datname = %s", [name]).fetchone():
                with self._connect(name) as conn:
                    conn.execute(_CLEAN)
                    clean = conn.execute(_STATE).fetchone() == self._empty
                if clean:
                    self._free.append(name)
                    return
        self._drop(name)

    def close(self) -> None:
        """Drop those that are left."""
        while self._free:
            self._drop(self._free.pop())

    def _connect(self, name: str) -> psycopg.Connection:
        return psycopg.connect(make_conninfo(self.admin.info.dsn, dbname=name), autocommit=True)

    def _drop(self, name: str) -> None:
        databases._let_go(self.admin, name, 0.1)
        self.admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
