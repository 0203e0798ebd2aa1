"""Scratch databases: made for one look, dropped at its end, swept by the next run where a killed one left them."""

import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg
from psycopg import Connection, sql
from psycopg.conninfo import make_conninfo

from pgyoyo.engine import connection
from pgyoyo.engine.ledger import key_of
from pgyoyo.errors import UsageError

PREFIX = "pgyoyo_scratch_"

# Whoever made one holds an advisory lock of its name for as long as it lives; pg_locks shows the locks of all databases.
_HELD = "SELECT classid::bigint << 32 | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1"


@contextmanager
def server(conninfo: str) -> Iterator[Connection]:
    """A session that may make databases on the scratch server, what dead runs left swept away.

    Raises ConnectError, and UsageError where the role may not create databases.
    """
    with connection.connect(conninfo) as admin:
        row = admin.execute("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()
        if not (row and row[0]):
            raise UsageError(
                f'the role "{admin.info.user}" may not create databases on the scratch server; '
                "let a superuser run ALTER ROLE … CREATEDB, or give another one: --scratch URL"
            )
        sweep(admin)
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
        _let_go(admin, template, 1.0)
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(template)))
        yield make_conninfo(connection.again(admin.info), dbname=name)
    finally:
        if not admin.closed:
            _let_go(admin, name, 0.1)
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            admin.execute("SELECT pg_advisory_unlock(%s)", (key,))


def _let_go(admin: Connection, name: str, patience: float) -> None:
    """Wait until nobody is connected to a database, that many seconds at the most.

    CREATE and DROP DATABASE would wait a tenth of a second for a session that is about to end.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not admin.execute("SELECT FROM pg_stat_activity WHERE datname = %s", [name]).fetchone():
            return
        time.sleep(0.002)


@contextmanager
def roles(admin: Connection, texts: Sequence[bytes]) -> Iterator[None]:
    """Drop at the end the roles that came into being meanwhile and stand in one of the texts; no database holds them."""
    if not texts:
        yield
        return
    query = "SELECT rolname FROM pg_roles"
    before = {name for (name,) in admin.execute(query)}
    try:
        yield
    finally:
        fresh = () if admin.closed else [name for (name,) in admin.execute(query) if name not in before]
        for name in fresh:
            if any(name.encode() in text for text in texts):
                with suppress(psycopg.Error):  # something of another database needs it
                    admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def sweep(admin: Connection) -> list[str]:
    """Drop the scratch databases that no living session owns, and nothing else; their names."""
    names = [
        name for (name,) in admin.execute("SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (PREFIX,))
    ]
    held = {key for (key,) in admin.execute(_HELD)} if names else set()
    dead = [name for name in names if key_of(name) not in held]
    for name in dead:
        try:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        except psycopg.Error:  # somebody looks into it, or another run sweeps too: the next one gets it
            continue
    return dead
