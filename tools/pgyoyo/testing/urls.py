"""URLs of databases, for libpq and, with another scheme, for SQLAlchemy."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

from psycopg import ConnectionInfo

from pgyoyo.engine import connection
from pgyoyo.server import libpq

_PLACED = ("user", "password", "host", "port", "dbname")  # they have their place in a URL


class Url(str):
    """A URL whose `repr`, and so pytest's report of a failed test, hides its password."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(connection.redact(self, self))


def url(info: ConnectionInfo, given: Mapping[str, object], dbname: str) -> str:
    """The URL of a database on the server of that connection, which was made with the options `given`."""
    user = quote(info.user, safe="") + (f":{quote(info.password, safe='')}" if info.password else "")
    address = f"[{info.host}]:{info.port}" if ":" in info.host else f"{info.host}:{info.port}"
    neutral = libpq.without_neutral({name: str(value) for name, value in given.items()})
    options = {name: value for name, value in neutral.items() if name not in _PLACED}
    if info.host.startswith(("/", "@")):
        address, options = "", {"host": info.host, "port": str(info.port)} | options
    tail = "?" + urlencode(options, quote_via=quote) if options else ""
    return f"postgresql://{user}@{address}/{quote(dbname, safe='')}{tail}"
