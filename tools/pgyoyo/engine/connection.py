"""Connections to PostgreSQL, and their errors without secrets."""

import re
import time
from urllib.parse import unquote

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from pgyoyo.errors import ConnectError, UsageError

_SCHEME = re.compile(r"^(?:postgres|postgresql)(?:\+[a-z0-9_]+)?://")
# What a URL's password may be, in the order of trying: all up to the last "@", though libpq ends it at the first; and,
# where the "@" was forgotten, what stands in the place of the port and is none.
# What does not look like a database's scheme is the user's name, and a password that begins with "//" follows.
_START = re.compile(r"(?:p[\w+.-]*|[\w+.-]*(?:sql|db)[\w+.-]*)://|postgres(?:ql)?(?:\+\w+)?:?//")
_USERINFO = tuple(
    re.compile(rest, re.DOTALL)
    for rest in (r"[^:\[]*:(?P<secret>.*)@", r"[^:@/?#\[]*:(?!\d*(?:[/?#,]|$))(?P<secret>.*)")
)
# What libpq may break a password at.
_MARKS = r"[@/:?#&=,\[\]\s'\"]"

# Words of servers that are on their way up (SQLSTATE 57P03, which libpq does not hand over for a failed connect).
_STARTING = ("starting up", "not yet accepting connections", "in recovery mode")


def redact(text: str, conninfo: str) -> str:
    """The text with every password of the connection string, and what may be a piece of one, replaced by ***.

    An unescaped "/" or "@" makes libpq take a piece of a password for a host or a database, and quote it in its errors.
    What also stands elsewhere in the connection string, such as the user's name, is left alone.
    """
    shown, secrets = _masked(conninfo)
    text = text.replace(conninfo, shown) if conninfo else text
    for secret in filter(None, secrets):
        text = text.replace(f":{secret}@", ":***@")
    pieces = {piece for secret in secrets for piece in _pieces(secret)} - {"", *re.split(_MARKS, shown)}
    for piece in sorted(pieces, key=len, reverse=True):
        # Some would be found within other words, as "rd " in "password "; libpq quotes what it took for a name.
        if len(piece) > 2 and piece not in shown and not re.search(_MARKS, piece[0] + piece[-1]):
            text = text.replace(piece, "***")
        else:
            text = text.replace(f'"{piece}"', '"***"').replace(f"'{piece}'", "'***'")
    return text


def _masked(conninfo: str) -> tuple[str, list[str]]:
    """The connection string with *** for its passwords, and these as they are written."""
    known = "|".join(option.keyword.decode() for option in Conninfo.get_defaults())
    if re.match(r"\s*\w+\s*=", conninfo):
        # Without quotes a password ends at a blank; one that should have been quoted, before the next option's name.
        pair = rf"password\s*=\s*(?P<secret>'(?:[^'\\]|\\.)*'(?=\s+\w+\s*=|\s*$)|.*?(?=\s+(?:{known})\s*=|\s*$))"
        spans = [match.span("secret") for match in re.finditer(pair, conninfo, re.IGNORECASE | re.DOTALL)]
    else:
        pair = rf"[?&]\w*password=(?P<secret>.*?)(?=&(?:{known})=|$)"
        spans = [match.span("secret") for match in re.finditer(pair, conninfo, re.IGNORECASE | re.DOTALL)]
        start = begin.end() if (begin := _START.match(conninfo)) else 0
        userinfo = next((match for pattern in _USERINFO if (match := pattern.match(conninfo, start))), None)
        if userinfo:
            spans.append(userinfo.span("secret"))
    hidden = {place for start, end in spans for place in range(start, end)}
    shown = "".join(
        char if place not in hidden else "***" if place - 1 not in hidden else "" for place, char in enumerate(conninfo)
    )
    return shown, [conninfo[start:end] for start, end in spans]


def _pieces(secret: str) -> set[str]:
    """A password as written, and what libpq may make of it or of a part of it: all from one mark to another."""
    unquoted = secret[1:-1] if secret.startswith("'") and secret.endswith("'") else secret
    parts = set()
    for whole in {secret, unquoted, unquote(secret), re.sub(r"\\(.)", r"\1", unquoted)}:
        marks = [0, len(whole), *(place for mark in re.finditer(_MARKS, whole) for place in mark.span())]
        parts |= {whole[start:end] for start in marks for end in marks if start < end}
    return parts


def normalize(database: str) -> str:
    """A URL or key/value string as libpq takes it: `postgresql+psycopg://` and the like lose their driver.

    Raises UsageError, the value quoted without its password.
    """
    conninfo = _SCHEME.sub("postgresql://", database)
    try:
        conninfo_to_dict(conninfo)
    except UnicodeError:
        raise UsageError("the database URL holds bytes that are not UTF-8; write a % of the password as %25") from None
    except psycopg.ProgrammingError as error:
        reason = redact(str(error).strip(), conninfo)
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
                raise ConnectError(_explain(text, conninfo)) from None
        except (psycopg.ProgrammingError, UnicodeError) as error:
            # A value that psycopg itself can't use: a timeout that is no number, a host name that DNS can't have.
            raise ConnectError(_explain(str(error), conninfo)) from None
        time.sleep(0.2)


def again(info: psycopg.ConnectionInfo) -> str:
    """The conninfo of an open connection, its password included, to open another one like it."""
    return make_conninfo(info.dsn, password=info.password or None)


def _explain(text: str, conninfo: str) -> str:
    # psycopg puts its own words, and one line for each address tried, before what the server said.
    text = redact(text, conninfo)
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
