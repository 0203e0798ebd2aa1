"""Scratch databases: made for one look, dropped at its end, swept by the next run where a killed one left them."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import psycopg
from psycopg import Connection, sql
from psycopg.conninfo import make_conninfo

from pgyoyo.engine import connection
from pgyoyo.engine.ledger import key_of
from pgyoyo.errors import UsageError
from pgyoyo.scratch import anew, lent, rights

PREFIX = "pgyoyo_scratch_"
# The comment of each: a database that only has such a name is another's. The number marks one whose run was killed between
# the two statements; no server has room for so many connections.
MARKER = "made by pgyoyo for one look; dropped by the next run where a killed one left it"
LIMIT = 987_654_321
_NO_OPTIONS = sql.SQL("")

_OURS = """
SELECT datname FROM pg_catalog.pg_database
WHERE pg_catalog.starts_with(datname, %s) AND (
  coalesce(pg_catalog.shobj_description(oid, 'pg_database') = %s, false) OR datconnlimit = %s)
ORDER BY datname
"""
# What CREATE DATABASE does not copy.
_SETTINGS = """
SELECT r.rolname, pg_catalog.split_part(setting, '=', 1), pg_catalog.substr(setting, pg_catalog.strpos(setting, '=') + 1)
FROM pg_catalog.pg_db_role_setting AS s
JOIN pg_catalog.pg_database AS d ON d.oid = s.setdatabase
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = s.setrole
CROSS JOIN pg_catalog.unnest(s.setconfig) AS setting
WHERE d.datname = %s
"""

# Whoever made one holds an advisory lock of its name for as long as it lives; pg_locks shows the locks of all databases.
_HELD = "SELECT classid::bigint << 32 | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"


@contextmanager
def server(conninfo: str, say: Callable[[str], None] = lambda _: None) -> Iterator[Connection]:
    """A session that may make databases on the scratch server; what killed runs left there is dropped, and named to `say`.

    Where migrations leave there what can't be undone, the data of the project's own server goes with it.

    Raises ConnectError, and UsageError where the role may not create databases.
    """
    with ExitStack() as stack:
        admin = connection.connect(conninfo)
        # When it is closed.
        stack.callback(anew.discard_marked, admin.info.host, admin.info.port)
        stack.enter_context(admin)
        admin.execute("SET search_path = pg_catalog, pg_temp")
        rights_of_role = (
            "SELECT quote_ident(rolname), rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
        )
        role, may = admin.execute(rights_of_role).fetchone() or (admin.info.user, False)
        if not may:
            raise UsageError(
                f'the role "{admin.info.user}" may not create databases on the scratch server; let a superuser run '
                f"ALTER ROLE {role} CREATEDB, or give another one: --scratch URL"
            )
        rights.ensure(admin)
        sweep(admin, say)
        lent.sweep(admin)
        yield admin


@contextmanager
def database(admin: Connection, *, template: str = "template0") -> Iterator[str]:
    """The conninfo of a database of its own, a copy of `template`; dropped at the end, whoever is connected.

    Sessions on the template have to be closed; those about to end are waited for.
    """
    name = PREFIX + uuid.uuid4().hex[:12]
    key = key_of(name)
    admin.execute("SELECT pg_advisory_lock(%s)", (key,))
    try:
        role = rights.owner(admin)
        owned = sql.SQL("OWNER {} ").format(sql.Identifier(role)) if role else sql.SQL("")
        clone(admin, template, name, owned + sql.SQL("CONNECTION LIMIT {}").format(LIMIT))
        admin.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(sql.Identifier(name), MARKER))
        yield rights.lowered(make_conninfo(connection.again(admin.info), dbname=name), admin)
    finally:
        if not admin.closed:
            drop(admin, name)
            admin.execute("SELECT pg_advisory_unlock(%s)", (key,))


def create(admin: Connection, name: str, template: str = "template0", options: sql.Composable = _NO_OPTIONS) -> None:
    """Make a database, a copy of `template`, in the way that costs the server least; raises psycopg.Error.

    Where nothing has to reach the disk, as on a server for tests, files are copied: a quarter of the work, there and when
    the copy is dropped. Elsewhere that takes two checkpoints, which everybody on the server would notice.
    """
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} {}").format(
        sql.Identifier(name), sql.Identifier(template), options
    )
    if admin.info.server_version >= 150000 and admin.execute("SHOW fsync").fetchone() == ("off",):
        statement += sql.SQL(" STRATEGY file_copy")
    admin.execute(statement)


def drop(admin: Connection, name: str) -> None:
    """Drop a database, whoever is connected; nothing where it is gone. Raises psycopg.Error."""
    _let_go(admin, name, 0.1)
    admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def clone(admin: Connection, template: str, name: str, options: sql.Composable) -> None:
    """Make a database as `create` does, with the settings that are stored for the template; raises psycopg.Error.

    Sessions on the template that are about to end are waited for.
    """
    _let_go(admin, template, 1.0)
    create(admin, name, template, options)
    if template != "template0":
        _copy_settings(admin, template, name)


def _copy_settings(admin: Connection, template: str, name: str) -> None:
    for role, setting, value in admin.execute(_SETTINGS, [template]).fetchall():
        store(admin, name, setting, value, role=role)


def store(admin: Connection, name: str, setting: str, value: str, *, role: str | None = None) -> None:
    """Have new sessions on a database, or those of one role there, begin with a setting; raises psycopg.Error."""
    database, column = sql.Identifier(name), sql.SQL(".").join(map(sql.Identifier, setting.split(".")))
    whose = sql.SQL("ROLE {} IN DATABASE {}").format(sql.Identifier(role), database) if role else None
    with admin.transaction():
        # FROM CURRENT, since a list and a string are quoted in different ways.
        admin.execute("SELECT pg_catalog.set_config(%s, %s, true)", [setting, value])
        admin.execute(
            sql.SQL("ALTER {} SET {} FROM CURRENT").format(whose or sql.SQL("DATABASE {}").format(database), column)
        )


def forget(admin: Connection, name: str, setting: str, role: str) -> None:
    """Take back what `store` stored for a role on a database; raises psycopg.Error."""
    column = sql.SQL(".").join(map(sql.Identifier, setting.split(".")))
    admin.execute(
        sql.SQL("ALTER ROLE {} IN DATABASE {} RESET {}").format(sql.Identifier(role), sql.Identifier(name), column)
    )


def _let_go(admin: Connection, name: str, patience: float) -> None:
    """Wait until nobody is connected to a database, that many seconds at the most.

    CREATE and DROP DATABASE would wait a tenth of a second for a session that is about to end.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not admin.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s", [name]).fetchone():
            return
        time.sleep(0.002)


def sweep(admin: Connection, say: Callable[[str], None] = lambda _: None) -> list[str]:
    """Drop the scratch databases that no living session owns, and nothing else; their names, also to `say`."""
    names = [name for (name,) in admin.execute(_OURS, (PREFIX, MARKER, LIMIT))]
    held = {key for (key,) in admin.execute(_HELD)} if names else set()
    dropped = []
    for name in names:
        if key_of(name) in held:
            continue
        try:
            admin.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))
        except psycopg.Error:  # somebody looks into it, or another run sweeps too: the next one gets it
            continue
        dropped.append(name)
    if dropped:
        say(f"dropped {', '.join(dropped)}, which a run that was killed left behind")
    return dropped
