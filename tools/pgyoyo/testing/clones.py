"""Databases for tests: clones of migrated templates, which are kept from run to run."""

import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from pgyoyo import __version__, extensions, scratch
from pgyoyo.engine import connection
from pgyoyo.engine.ledger import key_of
from pgyoyo.engine.observer import SILENT
from pgyoyo.errors import ConnectError, PgyoyoError, UsageError
from pgyoyo.migrations import checks, plan
from pgyoyo.migrations.migration import Folders, Migration
from pgyoyo.scratch import databases, present_roles
from pgyoyo.scratch.present_roles import TEMPLATE
from pgyoyo.testing import roles, urls
from pgyoyo.testing.ahead import Ahead
from pgyoyo.testing.tenants import Tenant
from pgyoyo.testing.urls import Url

CLONE = "pgyoyo_test_"
UNFINISHED = "_new"
_ROLES = key_of("pgyoyo_roles")
KEPT = 20  # templates, of 8 MB each: editing a migration all day must not fill the disk
UNUSED = timedelta(days=7)

# As in scratch/databases.py: a session that uses a database holds an advisory lock named after it.
_CLONES = """
SELECT datname FROM pg_database d WHERE starts_with(datname, %s)
  AND NOT EXISTS (SELECT FROM pg_stat_activity a WHERE a.datid = d.oid)
"""
_HELD = "SELECT classid::bigint << 32 | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"
# The comment ends with the minute of the last use.
_TEMPLATES = """
SELECT datname, right(shobj_description(oid, 'pg_database'), 16) FROM pg_database WHERE starts_with(datname, %s)
ORDER BY 2 DESC NULLS LAST, oid DESC
"""


class Clones:
    """The databases of a test process; `project` marks them on a server that several projects share.

    Where `recorded` is given, it is part of the names of clones, and the server logs every statement that is sent to one.
    With `tenant` the migrations run in a schema, which the URLs of databases have first in the search_path.

    A clone is a copy of all that is in a database; what PostgreSQL keeps outside of it (ALTER DATABASE … SET, GRANT … ON
    DATABASE) is not copied. Raises ConnectError, and UsageError where the role may not create databases.
    """

    def __init__(
        self, conninfo: str, project: str, *, embedded: bool = False, recorded: str = "", tenant: Tenant | None = None
    ) -> None:
        self._embedded = embedded
        self.tenant = tenant
        self._recorded = recorded
        self.project = hashlib.sha256(os.fsencode(project)).hexdigest()[:8]
        self._used: set[str] = set()
        self._broken: dict[str, PgyoyoError] = {}
        self._done: list[str] = []
        self._named: tuple[Folders, str] | None = None
        self._ahead: Ahead | None = None
        self._last: str | None = None
        self._given = conninfo_to_dict(conninfo)
        self.admin = connection.connect(conninfo)
        self.admin.execute("SET search_path = pg_catalog, pg_temp")
        row = self.admin.execute("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        if not (row and row[0]):
            role = self.admin.info.user
            self.admin.close()
            raise UsageError(
                f'the role "{role}" may not create databases, as every test needs one; '
                "let a superuser run ALTER ROLE … CREATEDB, or write pgyoyo_database = URL of another server "
                "in pytest's ini file"
            )
        self._makes_ahead = self.admin.execute("SHOW fsync").fetchone() == ("off",)
        self._sweep()

    def url(self, dbname: str = "postgres") -> Url:
        """The URL of a database on the server, for libpq and, with another scheme, for SQLAlchemy."""
        plain = urls.url(self.admin.info, self._given, dbname)
        return Url(self.tenant.url(plain) if self.tenant and dbname.startswith((TEMPLATE, CLONE)) else plain)

    def template(self, folders: Folders) -> str:
        """The database with these migrations, made if no run made it before; raises what apply raises.

        Of two runs at once one makes it, under an advisory lock; it gets its name when it is complete. Every run that
        uses it shares the lock, so that none drops it.
        """
        if self._named and self._named[0] is folders:
            return self._named[1]
        order = plan.order(folders.migrations)
        info = self.admin.info
        digest = hashlib.sha256(f"{__version__} {info.server_version} {info.user}".encode())
        if self.tenant:
            digest.update(self.tenant.schema.encode())
        for migration in (*self._shared, *order, *folders.hooks):
            for file in (migration.apply, migration.rollback):
                digest.update(migration.hash.encode() + (hashlib.sha256(file.data).digest() if file else b"-"))
        name = TEMPLATE + digest.hexdigest()[:20]
        if name in self._used:
            self._named = folders, name
            return name
        if name in self._broken:
            raise self._broken[name]
        key = key_of(name)
        while not self._share(name, key):
            # Not waited for: the run that makes it then holds the lock, shared, until its end.
            if self._locks("pg_try_advisory_lock", key):
                try:
                    if not self._exists(name):
                        self._make(name, folders)
                except PgyoyoError as error:
                    self._broken[name] = error
                    raise
                finally:
                    self._locks("pg_advisory_unlock", key)
            else:
                time.sleep(0.02)
        last = f"up to {order[-1].id}" if order else "with no migration"
        # Two runs that write the comment at once collide; one comment is enough.
        with suppress(psycopg.errors.InternalError_):
            self._alter("COMMENT ON DATABASE {} IS {}", name, f"pgyoyo's, {last}, last used {_now():%Y-%m-%d %H:%M}")
        self._used.add(name)
        return name

    def clone(self, template: str) -> str:
        """The name of a fresh copy, this run's until `discard`; drops what was discarded before."""
        name = self._ahead.take(template) if self._ahead else None
        # Before, not after: a DROP has all dirty pages of the server written, those of a new copy too.
        self._drop_done()
        if name is None:
            name = self._name()
            self._locks("pg_advisory_lock", key_of(name))
            databases.create(self.admin, name, template)
            if self._recorded:
                self._alter("ALTER DATABASE {} SET log_statement = 'all'", name)
        # A test process that needed two may need a third.
        if template == self._last and self._makes_ahead:
            with suppress(ConnectError):  # the server has no room for more sessions
                server = connection.again(self.admin.info)
                self._ahead = self._ahead or Ahead(server, self._name, recorded=bool(self._recorded))
                self._ahead.prepare(template, self._end_prepared)
        self._last = template
        return name

    def discard(self, name: str) -> None:
        """Drop it later: now, the server would wait a tenth of a second for sessions that are just ending."""
        if not (self._ahead and self._ahead.discard(name)):
            self._done.append(name)

    def close(self) -> bool:
        """Drop what was discarded and disconnect; returns whether any run's clones remain on the server."""
        with closing(self.admin):
            self._done += self._ahead.close() if self._ahead else []
            self._drop_done()
            return self.admin.execute("SELECT FROM pg_database WHERE starts_with(datname, %s)", [CLONE]).rowcount > 0

    def _name(self) -> str:
        return f"{CLONE}{self.project}_{_now():%Y%m%d}_{self._recorded}{secrets.token_hex(4)}"

    def _share(self, name: str, key: int) -> bool:
        self._locks("pg_advisory_lock_shared", key)
        return self._exists(name) or not self._locks("pg_advisory_unlock_shared", key)

    def _locks(self, function: str, key: int) -> bool:
        row = self.admin.execute(f"SELECT {function}(%s)", [key]).fetchone()
        return bool(row and row[0])

    def _make(self, name: str, folders: Folders) -> None:
        count = len(self._shared)
        folders = replace(folders, migrations=(*self._shared, *plan.order(folders.migrations)))
        if folders.migrations:
            every = (*plan.order(folders.migrations), *folders.hooks)
            checks.scripts(every)
            if self._embedded:
                another = "PGYOYO_TEST_DATABASE_URL, or pgyoyo_database in pytest's ini file"
                extensions.require(self.admin, [migration.apply for migration in every], another)
        new = name + UNFINISHED
        self._alter("DROP DATABASE IF EXISTS {} WITH (FORCE)", new)
        databases.create(self.admin, new)
        with self.with_roles(name, folders) as here:
            shared, order = here.migrations[:count], here.migrations[count:]
            if self.tenant:
                self.tenant.prepare(self.url(new), shared)
            if order:
                with closing(scratch.copies.ScratchDatabase(self.url(new), SILENT)) as made:
                    made.rebuild(order, hooks=here.hooks)
        # A session in it would keep it from being cloned.
        self._alter("ALTER DATABASE {} WITH ALLOW_CONNECTIONS false", new)
        self._alter("ALTER DATABASE {} RENAME TO {}", new, sql.Identifier(name))

    @property
    def _shared(self) -> tuple[Migration, ...]:
        return self.tenant.shared if self.tenant else ()

    @contextmanager
    def with_roles(self, template: str, folders: Folders) -> Iterator[Folders]:
        """The migrations as they run on a server that has roles of other templates; new ones are noted as this one's.

        No other run makes roles meanwhile.
        """
        every = (*folders.migrations, *folders.hooks)
        if not present_roles.are_made_by(every):
            yield present_roles.beside(folders, {})
            return
        self._locks("pg_advisory_lock", _ROLES)
        try:
            there = present_roles.on_server(self.admin)
            made = scratch.shared.roles_made(self.admin, every)
            try:
                yield present_roles.beside(folders, there)
            finally:
                roles.note(self.admin, template, every, there, made())
        finally:
            self._locks("pg_advisory_unlock", _ROLES)

    def beside_templates(self, folders: Folders) -> Folders:
        """The migrations as they are rehearsed on a server with a template of all of them; raises as `template`."""
        if not present_roles.are_made_by((*folders.migrations, *folders.hooks)):
            return folders
        self.template(folders)  # no other process makes one of the roles, or drops it, while this run lasts
        folders = replace(folders, migrations=tuple(plan.order(folders.migrations)))
        return present_roles.beside(folders, present_roles.on_server(self.admin))

    def _exists(self, name: str) -> bool:
        return self.admin.execute("SELECT FROM pg_database WHERE datname = %s", [name]).fetchone() is not None

    def _alter(self, statement: str, dbname: str, *values: object) -> None:
        self.admin.execute(sql.SQL(statement).format(sql.Identifier(dbname), *values))

    def _drop_done(self) -> None:
        while self._done:
            name = self._done.pop()
            # What is left is swept by a later run.
            self._end_prepared(name)
            with suppress(psycopg.Error):
                self._alter("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)
            self._locks("pg_advisory_unlock", key_of(name))

    def _end_prepared(self, name: str) -> None:
        """Roll back the transactions that a test prepared and left: nobody else can, and they keep the database."""
        with suppress(psycopg.Error, ConnectError):
            left = self.admin.execute("SELECT gid FROM pg_prepared_xacts WHERE database = %s", [name]).fetchall()
            if left:
                with connection.connect(self.url(name)) as conn:
                    for (gid,) in left:
                        conn.execute(sql.SQL("ROLLBACK PREPARED {}").format(gid))

    def rolled_back(self, transaction: str) -> bool:
        """Whether the transaction of that number was: not committed, nor prepared, which keeps its locks."""
        query = "SELECT pg_xact_status(%s::text::xid8) = 'aborted'"
        row = self.admin.execute(query, [transaction]).fetchone()
        return bool(row and row[0])

    def _sweep(self) -> None:
        """Drop this project's clones that no run uses, those of others after a week, and templates unused or too many."""
        day = f"{_now() - UNUSED:%Y-%m-%d}"
        # Names before locks: a lock is taken before its database is made.
        names = [name for (name,) in self.admin.execute(_CLONES, [CLONE])]
        held = {key for (key,) in self.admin.execute(_HELD)} if names else set()
        for name in names:
            ours, made = name.startswith(f"{CLONE}{self.project}_"), name.removeprefix(CLONE)[9:17]
            if key_of(name) not in held and (ours or made < day.replace("-", "")):
                self._drop(name)
        for number, (name, used) in enumerate(self.admin.execute(_TEMPLATES, [TEMPLATE]).fetchall()):
            if number < KEPT and (used or "") >= day and not name.endswith(UNFINISHED):
                continue
            self._drop_template(name.removesuffix(UNFINISHED), name)
        roles.sweep(self.admin, TEMPLATE, self._drop_template)

    def _drop_template(self, name: str, *databases: str) -> None:
        """Drop its databases and the roles that only it has, unless a run uses it."""
        key = key_of(name)
        if self._locks("pg_try_advisory_lock", key):
            for database in databases:
                self._drop(database)
            if not self._exists(name):
                self._locks("pg_advisory_lock", _ROLES)
                roles.drop(self.admin, name, TEMPLATE)
                self._locks("pg_advisory_unlock", _ROLES)
            self._locks("pg_advisory_unlock", key)

    def _drop(self, name: str) -> None:
        self._end_prepared(name)
        with suppress(psycopg.Error):  # somebody is connected to it, or it belongs to another role: left to a later run
            self._alter("DROP DATABASE IF EXISTS {}", name)


def _now() -> datetime:
    return datetime.now(UTC)
