"""Connections to PostgreSQL, and their errors without secrets."""

import re
import time
from urllib.parse import unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgyoyo.errors import ConnectError, UsageError

_SCHEME = re.compile(r"^(?:postgres|postgresql)(?:\+[a-z0-9_]+)?://")
_USERINFO = re.compile(r"^[a-zA-Z0-9+_]*:?//[^@/?#]*?:(?P<rest>.*)@", re.DOTALL)
_PASSWORD_PAIR = re.compile(r"(?:password|passfile_password)\s*=\s*('(?:[^'\\]|\\.)*'|[^\s&'\"]+)", re.IGNORECASE)

# Words of servers that are on their way up (SQLSTATE 57P03, which libpq does not hand over for a failed connect).
_STARTING = ("starting up", "not yet accepting connections", "in recovery mode")


def secrets(conninfo: str) -> list[str]:
    """Every part of a connection string that may be a password or a piece of one, the longest first.

    A password with an unescaped "/" or "@" makes libpq take pieces of it for a host or a database and quote them in its
    errors, so the pieces count too.
    """
    found: set[str] = set()
    if match := _USERINFO.match(conninfo):
        rest = match["rest"]
        found |= {rest, unquote(rest), *re.split(r"[@/:?#]", rest)}
        # libpq ends a user's part at the first "@"; what follows up to the last one may be password too.
        found.add(rest.rsplit("@", 1)[0])
    for match in _PASSWORD_PAIR.finditer(conninfo):
        value = match[1].strip("'")
        found |= {value, unquote(value), value.replace("\\'", "'").replace("\\\\", "\\")}
    return sorted((part for part in found if part), key=len, reverse=True)


def redact(text: str, conninfo: str) -> str:
    """The text with every secret of the connection string replaced by ***."""
    for part in secrets(conninfo):
        text = text.replace(part, "***")
    return text


def normalize(database: str) -> str:
    """A URL or key/value string as libpq takes it: `postgresql+psycopg://` and the like lose their driver.

    Raises UsageError, the value quoted without its password.
    """
    conninfo = _SCHEME.sub("postgresql://", database)
    try:
        conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError as error:
        reason = redact(str(error).strip(), database)
        raise UsageError(
            f'"{redact(database, database)}" is no database URL: {reason}; '
            "write postgresql://user:password@host:5432/dbname, with /, @, : and % of the password percent-encoded"
        ) from None
    return conninfo


def connect(conninfo: str, *, wait: float = 0.0) -> psycopg.Connection:
    """An autocommit connection that never prepares statements (a pooler may sit between).

    A server that says it is starting up is waited for, ten seconds at least; any other failure is tried again for
    `wait` seconds. Raises ConnectError in the server's own words, without the password.
    """
    options = conninfo_to_dict(conninfo)
    options.setdefault("fallback_application_name", "pgyoyo")
    options.setdefault("connect_timeout", "10")
    # Files are UTF-8, whatever PGCLIENTENCODING or the role's settings say.
    options["client_encoding"] = "UTF8"
    started = time.monotonic()
    while True:
        try:
            return psycopg.connect(make_conninfo("", **options), autocommit=True, prepare_threshold=None)
        except psycopg.OperationalError as error:
            text = str(error).strip()
            patience = max(wait, 10.0) if any(word in text for word in _STARTING) else wait
            if time.monotonic() - started >= patience:
                raise ConnectError(_explain(redact(text, conninfo), conninfo)) from None
        time.sleep(0.2)


def _explain(text: str, conninfo: str) -> str:
    # psycopg puts its own words, and one line for each address tried, before what the server said.
    lines = [line.strip() for line in text.removeprefix("connection failed: ").splitlines() if line.strip()]
    shown = redact(conninfo, conninfo) or "libpq's environment (PGHOST, PGSERVICE, …)"
    return f"cannot connect to {shown}\n  " + "\n  ".join(lines) + "\n" + _advice(text)


def _advice(text: str) -> str:
    if "password" in text:
        return "Check the user and the password in DATABASE_URL, PGPASSWORD or ~/.pgpass."
    if "database" in text and "does not exist" in text:
        return "Create the database first (createdb), or name another one."
    if "role" in text and "does not exist" in text:
        return "Create the role first (createuser), or name another one."
    return "Check that the server runs and that host and port are right; --wait 60s waits for one that is starting."
