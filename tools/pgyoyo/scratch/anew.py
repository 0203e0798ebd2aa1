"""What migrations left on the project's scratch server, and can't be undone there, goes with its data."""

import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from psycopg import Connection

from pgyoyo.errors import ServerError
from pgyoyo.scratch import rights
from pgyoyo.server.postgres import EmbeddedServer

# Whether the databases of the server hold nothing but scratch, as far as this session sees, and nobody else is connected.
# Objects of initdb have OIDs below 16384 (FirstNormalObjectId, access/transam.h).
_IS_SCRATCH = """
SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_database AS d WHERE d.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
                     AND d.datconnlimit OPERATOR(pg_catalog.<>) %(limit)s)
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c WHERE c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid)
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc AS p WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid)
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace AS n WHERE n.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid)
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity AS a
                   WHERE a.backend_type OPERATOR(pg_catalog.=) 'client backend'
                     AND a.pid OPERATOR(pg_catalog.<>) pg_catalog.pg_backend_pid())
"""
_PATIENCE = 0.2  # seconds for sessions that are about to end
_marked: dict[tuple[str, int], Path] = {}


def mark(admin: Connection, roles: Iterable[str], *, limit: int) -> bool:
    """Whether the data of the server of `admin` is to be removed when its sessions are closed: it holds only scratch.

    That is where it is the project's own, `roles`, who were there before, are its own, each database has the connection limit
    of a scratch database, and nobody else is connected.
    """
    own = ("postgres", rights.ROLE)
    if rights.owner(admin) is None or any(role not in own and not role.startswith("pg_") for role in roles):
        return False
    deadline = time.monotonic() + _PATIENCE
    while admin.execute(_IS_SCRATCH, {"limit": limit}).fetchone() != (True,):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    [(data,)] = admin.execute("SELECT pg_catalog.current_setting('data_directory')").fetchall()
    _marked[admin.info.host, admin.info.port] = Path(data)
    return True


def discard_marked(host: str, port: int) -> None:
    """Stop the server at that address and remove its data, if that was marked; whoever starts it makes it anew."""
    data = _marked.pop((host, port), None)
    if data and data.name == "data" and data.parent.name.isdigit():
        with suppress(ServerError):  # it stays as it is, and was named
            EmbeddedServer(data.parents[1], version=int(data.parent.name)).discard()
