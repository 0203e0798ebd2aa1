"""The account that files run as on the project's scratch server: without a superuser's rights, until a file needs them."""

from contextlib import suppress

import psycopg
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgyoyo.engine import failures
from pgyoyo.errors import StatementError

ROLE = "pgyoyo_files"
_SUPERUSER = "postgres"
# What connects so is on the project's own server, where anybody who reaches the socket may log in as any role.
_OWN = "pgyoyo on its own server"
_DENIED = "42501"

_ATTRIBUTES = "NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS LOGIN"
_IS_PLAIN = """
SELECT NOT (r.rolsuper OR r.rolcreatedb OR r.rolcreaterole OR r.rolreplication OR r.rolbypassrls) AND r.rolcanlogin
FROM pg_catalog.pg_roles AS r WHERE r.rolname OPERATOR(pg_catalog.=) %s
"""


def on_own_server(conninfo: str) -> str:
    """The conninfo of the superuser of the project's own server, for scratch databases whose files run with fewer rights."""
    return make_conninfo(conninfo, application_name=_OWN)


def owner(admin: Connection) -> str | None:
    """The role that scratch databases of this session belong to; None: its own."""
    return ROLE if admin.info.get_parameters().get("application_name") == _OWN else None


def ensure(admin: Connection) -> None:
    """Make the role, or take rights from it that a file gave it, where the session is on the project's own server."""
    if owner(admin) is None:
        return
    row = admin.execute(_IS_PLAIN, [ROLE]).fetchone()
    if row and row[0]:
        return
    verb = sql.SQL("ALTER" if row else "CREATE")
    with suppress(psycopg.errors.DuplicateObject, psycopg.errors.UniqueViolation):  # another run made it just now
        admin.execute(sql.SQL("{} ROLE {} {}").format(verb, sql.Identifier(ROLE), sql.SQL(_ATTRIBUTES)))
        if admin.info.server_version >= 150000:
            # A review fills tables without firing their triggers.
            admin.execute(sql.SQL("GRANT SET ON PARAMETER session_replication_role TO {}").format(sql.Identifier(ROLE)))


def lowered(conninfo: str, admin: Connection) -> str:
    """The conninfo of a scratch database as its files use it."""
    role = owner(admin)
    return make_conninfo(conninfo, user=role) if role else conninfo


def runner(role: str) -> str:
    """The role, by one name for those that files run as, with a superuser's rights and without."""
    return _SUPERUSER if role == ROLE else role


def raised(conninfo: str) -> str:
    """The same, as the superuser."""
    return make_conninfo(conninfo, user=_SUPERUSER) if conninfo_to_dict(conninfo).get("user") == ROLE else conninfo


def are_lacking(error: Exception | None, conninfo: str) -> bool:
    """Whether the statement failed for the want of a right that the superuser has."""
    cause = error.server_error if isinstance(error, StatementError) else error
    return failures.sqlstate(cause) == _DENIED and conninfo_to_dict(conninfo).get("user") == ROLE
