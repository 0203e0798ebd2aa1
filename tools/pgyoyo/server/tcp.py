"""The embedded server on 127.0.0.1, with a password: for programs that know no Unix sockets (pgAdmin, JDBC, containers)."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from pgyoyo.errors import ServerError
from pgyoyo.server.postgres import EmbeddedServer

ADDRESS = "127.0.0.1"
# The socket is closed to other users by its mode; a port is not.
_HBA = f"""\
local all all trust
host all all {ADDRESS}/32 scram-sha-256
"""


def url(server: EmbeddedServer, dbname: str, say: Callable[[str], None]) -> str:
    """The URL of a database, with a password; from now on the server listens on 127.0.0.1, also after a restart.

    A running server that did not listen yet is restarted, its clients disconnected; `say` gets a line for that. Raises
    ServerError.
    """
    server.ensure_running(say)  # so that its folder is there, with its owner
    _write(server.hba, _HBA, like=server.data)
    secret = server.folder / "password"
    if not secret.exists():
        _write(secret, secrets.token_urlsafe(24))
    password = secret.read_text()
    try:
        if not _listens(server):
            server.stop()
            server.ensure_running(say)
        if not _listens(server):
            raise ServerError(f"another program uses port {server.port} of {ADDRESS}; end it and try again")
        with psycopg.connect(server.conninfo("postgres"), autocommit=True) as conn:
            verifier = conn.pgconn.encrypt_password(password.encode(), b"postgres", b"scram-sha-256").decode()
            conn.execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(verifier))
    except psycopg.Error as error:
        raise ServerError(f"the server in {server.folder} can't be opened on {ADDRESS}: {error}") from None
    return f"postgresql://postgres:{quote(password, safe='')}@{ADDRESS}:{server.port}/{quote(dbname, safe='')}"


def _listens(server: EmbeddedServer) -> bool:
    with psycopg.connect(server.conninfo("postgres"), autocommit=True) as conn:
        row = conn.execute("SELECT pg_catalog.current_setting('listen_addresses')").fetchone()
        return row == (ADDRESS,)


def _write(path: Path, text: str, *, like: Path | None = None) -> None:
    """Write a file that only its owner reads: this user, or the owner of `like`."""
    new = path.with_name(f"{path.name}.new-{os.getpid()}")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, for its mode
        file.write(text)
    if like:
        owner = like.stat()
        os.chown(new, owner.st_uid, owner.st_gid)
    new.replace(path)
