"""Connections to PostgreSQL, and their errors without secrets."""

import os
import re
import socket
import time
from contextlib import suppress

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from pgyoyo.engine import url
from pgyoyo.errors import ConnectError, UsageError, closest
from pgyoyo.server import libpq

_ADVICE = "write postgresql://user:password@host:5432/dbname, with /, @, : and % of the password percent-encoded"
# A URL of which libpq takes no piece of a password for anything else.
_HOST = r"(?:[\w.%-]*|\[[\w:.%]*\])(?::\d*)?"
_URL = re.compile(
    r"postgres(?:ql)?(?:\+\w+)?://(?:[^\s:@/;=]*(?::(?P<secret>[^@/]*))?@)?"
    rf"{_HOST}(?:,{_HOST})*(?:/[^\s@:/?;=]*)?(?:\?(?P<options>.*))?",
    re.DOTALL,
)
# In `options`: a setting of the user's own whose name says what its value is.
_SECRET_SETTING = re.compile(r"(?i)[\w.-]*(?:passw|pwd|secret|token|api[_-]?key)[\w.-]*\s*=\s*(\S+)")
_SECRETS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
# No value of another option has these, unless it was meant to be something else.
_STRAY = re.compile(r"[@;=?#]|:/")
# Another scheme is shown, since it says what is wrong; any other word before "://" might be a user's name.
_OTHER = re.compile(r"(?:jdbc:)?(?:postgres|postgresql|mysql|mariadb|sqlite|oracle|mssql)(?:\+\w+)?://")
_QUOTED = re.compile(r"""["'].*["']|\bport \S+""", re.DOTALL)

# A silent loss of the network ends a session within minutes; milliseconds for the last, seconds for the others.
_KEEPALIVES = {
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "6",
    "tcp_user_timeout": "90000",
}

# libpq hands over no SQLSTATE of a failed connect, and puts two blanks between the server's severity and its words.
_BY_SERVER = re.compile(r"(?:^|: )[^\s:]+:  (?P<words>.*)", re.MULTILINE)
# Words of servers that are on their way up (SQLSTATE 57P03).
_STARTING = ("starting up", "not yet accepting connections", "in recovery mode")
# What passes by itself though the server or a pooler refused (57P01, 57P03, 53300), also where it names the role.
_FULL = ("too many", "remaining connection slots", "no more connections allowed")
_PASSING = (
    *_STARTING, *_FULL, "shutting down", "terminating connection", "server login",
    "cannot connect to server", "query_wait_timeout",
)  # fmt: skip
# What doesn't, in words without a name; what names the role, the database or a setting in quotes doesn't either, whatever
# the language (28P01, 28000, 3D000, 42501, 42704, 22023).
_LASTING = (
    "no password supplied", "authentication failed", "auth failed", "certificate", "no such user", "no such database",
    "unsupported", "not supported", "does not support", "does not exist", "pg_hba.conf", "definition of service",
)  # fmt: skip
_NAMED = re.compile(r"""["'»«„“”「『]""")


# What can stand in a literal and, quoted, as a name, without an escape; PostgreSQL's names have 63 bytes.
_TABLE = re.compile(r"[\w .$@-]{1,63}")


class Target(str):
    """A conninfo to a database whose ledger has that name."""

    migration_table: str

    def __new__(cls, conninfo: str, migration_table: str) -> "Target":
        """The conninfo, with the name; raises UsageError for a name that can't be a ledger's."""
        target = super().__new__(cls, conninfo)
        target.migration_table = check_table(migration_table)
        return target


def check_table(name: str) -> str:
    """The name of a ledger's table; raises UsageError for one that PostgreSQL would cut, or that has quotes in it."""
    if not _TABLE.fullmatch(name) or len(name.encode()) > 63:
        raise UsageError(
            f'migration_table is "{name}"; write a table\'s name, without its schema or quotes, of 63 bytes at most'
        )
    return name


class Session(psycopg.Connection):
    """A connection that knows the whole conninfo it was opened with: all hosts, by their names; and its ledger's name."""

    conninfo = ""
    migration_table = "_yoyo_migration"
    # Whether it was sent the settings of message.SESSION, and keeps them.
    is_prepared = False


def redact(text: str, conninfo: str) -> str:
    """The text with the connection string, and what it holds, as `shown` has it.

    An unescaped "/" or "@" makes libpq take a piece of a password for a host or a database, and quote it in its errors: of a
    string that can't be read without doubt no quoted text is left.
    """
    shown, secrets = _read(conninfo)
    text = text.replace(conninfo, shown) if conninfo else text
    if secrets is None:
        return _QUOTED.sub('"…"', text.replace('"="', "="))
    for secret in secrets:
        text = text if len(secret) < 4 or secret in shown else text.replace(secret, "***")
    return text


def shown(conninfo: str) -> str:
    """The connection string with *** for its passwords; of one that can't be read without doubt only the scheme."""
    return _read(conninfo)[0]


def _read(conninfo: str) -> tuple[str, list[str] | None]:
    """The string as it is shown, and the passwords in it; None where it can't be read without doubt."""
    scheme = _OTHER.match(conninfo)
    doubtful = (f"{scheme[0]}…" if scheme else "…" if conninfo else "", None)
    try:
        facts = {
            name: str(value) for name, value in conninfo_to_dict(url.SCHEME.sub("postgresql://", conninfo)).items()
        }
    except (psycopg.Error, UnicodeError):
        return doubtful
    secrets = [facts[name] for name in _SECRETS if name in facts]
    given = _SECRET_SETTING.findall(facts.get("options", ""))
    secrets += given
    hidden = (*_SECRETS, "options") if given else _SECRETS
    plain = {name: value for name, value in facts.items() if name not in _SECRETS}
    if not scheme:
        if any(_STRAY.search(value) for name, value in plain.items() if name != "options"):
            return doubtful
        plain = {name: "***" if name in hidden and value else value for name, value in facts.items()}
        return make_conninfo("", **libpq.without_neutral(plain)), secrets
    parts = _URL.fullmatch(conninfo)
    if not parts:
        return doubtful
    pairs = [pair.partition("=") for pair in (parts["options"] or "").split("&")]
    # libpq may have found a password where this reads none: what follows a "?" of it is then taken for an option.
    named = {name for name, _, _ in pairs}
    if ("password" in facts) != ("password" in named or bool(parts["secret"])) or any("@" in name for name in named):
        return doubtful
    if any(_STRAY.search(value) for name, _, value in pairs if name not in (*_SECRETS, "options")):
        return doubtful
    start, end = parts.span("secret")
    text = conninfo[:start] + "***" + conninfo[end:] if parts["secret"] else conninfo
    text = re.sub(rf"(?<=[?&])({'|'.join(hidden)})=[^&]*", r"\1=***", text)
    return text, [*secrets, parts["secret"] or ""]


_CHECK_SERVER = "Check that the server runs and that host and port are right."


def _known() -> list[str]:
    return [option.keyword.decode() for option in Conninfo.get_defaults()]


def normalize(database: str) -> str:
    """A URL or key/value string as libpq takes it: `postgresql+psycopg://` and the like lose their driver, and query keys
    that only a library understands go.

    Raises UsageError, in which only the scheme of the value stands.
    """
    database = database.strip()
    if system := url.OTHER_SYSTEM.match(database):
        raise UsageError(
            f'"{system[0]}…" names a database of another system, and pgyoyo works on PostgreSQL only; {_ADVICE}'
        )
    conninfo = url.to_libpq(database)
    try:
        conninfo_to_dict(conninfo)
    except UnicodeError:
        raise UsageError("the database URL holds bytes that are not UTF-8; write a % of the password as %25") from None
    except psycopg.ProgrammingError as error:
        if database.isalpha() and closest(database, ("embedded",)):
            raise UsageError(f'"{shown(database)}" is not a database URL; did you mean embedded?') from None
        if database[:1] in ("'", '"') and database.endswith(database[:1]):
            raise UsageError(
                f'"{shown(database)}" is not a database URL: it stands in quotes; leave them out'
            ) from None
        reason = redact(str(error).strip(), conninfo)
        unknown = re.search(r"(?:parameter:|option) \"(\w+)\"", str(error))
        if unknown and (near := closest(unknown[1], _known())):
            reason += f" (did you mean {near}?)"
        raise UsageError(f'"{shown(database)}" is not a database URL: {reason}; {_ADVICE}') from None
    return conninfo


def connect(conninfo: str, *, wait: float = 0.0) -> psycopg.Connection:
    """An autocommit connection that never prepares statements (a pooler may sit between).

    A server that says it is starting up is waited for, ten seconds at least; one that refuses what no waiting changes, such
    as a password, not at all; any other failure is tried again for `wait` seconds. Raises ConnectError in the server's own
    words, without the password.
    """
    options = conninfo_to_dict(conninfo)
    options.setdefault("fallback_application_name", "pgyoyo")
    if not (options.get("service") or os.environ.get("PGSERVICE")):  # whose file may have its own
        for name, value in _KEEPALIVES.items():
            options.setdefault(name, value)
        options.setdefault("connect_timeout", os.environ.get("PGCONNECT_TIMEOUT") or "10")
    # Files are UTF-8, whatever PGCLIENTENCODING or the role's settings say.
    options["client_encoding"] = "UTF8"
    started = time.monotonic()
    while True:
        try:
            conn = Session.connect(make_conninfo("", **options), autocommit=True, prepare_threshold=None)
        except psycopg.OperationalError as error:
            text = str(error).strip()
            starting = any(word in text for word in _STARTING)
            patience = max(wait, 10.0) if starting else 0.0 if is_lasting(text) else wait
            if time.monotonic() - started >= patience:
                words = _explain(text, conninfo)
                raise ConnectError(words, passes=words.endswith(_CHECK_SERVER)) from None
            # Each refusal is a line in the server's log, and a login that somebody else could have had.
            time.sleep(1.0 if _BY_SERVER.search(text) and not starting else 0.2)
        except (psycopg.ProgrammingError, UnicodeError) as error:
            # A value that psycopg itself can't use: a timeout that is no number, a host name that DNS can't have.
            raise ConnectError(_explain(str(error), conninfo)) from None
        else:
            conn.conninfo = conninfo
            if isinstance(conninfo, Target):
                conn.migration_table = conninfo.migration_table
            return conn


def end(conn: psycopg.Connection, *, patience: float = 1.0) -> None:
    """Close a connection and wait, those seconds at the most, until the server's process is gone.

    It leaves pg_stat_activity first; CREATE and DROP DATABASE, which still see it then, would wait for a tenth of a second.
    """
    if conn.closed:
        return
    with socket.socket(fileno=os.dup(conn.fileno())) as there:
        conn.close()
        there.settimeout(patience)
        with suppress(OSError):
            while there.recv(4096):
                pass


def is_lasting(text: str) -> bool:
    """Whether a failed connect, in libpq's words, fails whenever it is tried; with several hosts, at each of them."""
    attempts = [line for line in text.splitlines() if line.startswith("- ")] or [text]
    return all(_is_lasting(attempt) for attempt in attempts)


def is_full(text: str) -> bool:
    """Whether a failed connect, in libpq's words, found no free connection (53300): of the server, a database, or a role."""
    return any(word in text for word in _FULL)


def _is_lasting(attempt: str) -> bool:
    by_server = _BY_SERVER.search(attempt)
    words = by_server["words"] if by_server else attempt
    if any(word in words for word in _PASSING):
        return False
    return any(word in words for word in _LASTING) or bool(by_server and _NAMED.search(words))


def again(info: psycopg.ConnectionInfo) -> str:
    """The conninfo of an open connection, its password included, to open another one to the same server.

    It holds every option as it was, also one that has libpq's default: the environment adds none.
    """
    facts = {option.keyword.decode(): option.val.decode() for option in info.pgconn.info if option.val is not None}
    return make_conninfo("", **facts)


def pid_of(conn: psycopg.Connection) -> int:
    """The pid of the server session, which a pooler does not give at login."""
    [(pid,)] = conn.execute("SELECT pg_catalog.pg_backend_pid()").fetchall()
    return int(pid)


def to_reconnect(conn: psycopg.Connection) -> str:
    """The conninfo to connect again with once this connection is lost: any of its hosts may be the right one now."""
    return conn.conninfo if isinstance(conn, Session) else again(conn.info)


def _explain(text: str, conninfo: str) -> str:
    # psycopg puts its own words, and one line for each address tried, before the server's words.
    text = redact(text, conninfo)
    lines = [line.strip() for line in text.removeprefix("connection failed: ").splitlines() if line.strip()]
    where = shown(conninfo) or "libpq's environment (PGHOST, PGSERVICE, …)"
    return f"cannot connect to {where}\n  " + "\n  ".join(lines) + "\n" + _advice(text, conninfo)


def _advice(text: str, conninfo: str) -> str:
    if _read(conninfo)[1] is None:
        return f"If a password stands in it, {_ADVICE}."
    if "password" in text:
        return "Check the user and the password in the URL, PGPASSWORD or ~/.pgpass."
    if "database" in text and "does not exist" in text:
        return "Create the database first (createdb), or name another one."
    if "role" in text and "does not exist" in text:
        return "Create the role first (createuser), or name another one."
    if is_lasting(text):
        return "Waiting would not help; correct the address, the role's rights or the server's settings."
    return _CHECK_SERVER
