"""Servers and sessions that can't write, recognised before anything is."""

from psycopg import Connection

from pgyoyo.errors import ConnectError

_STATE = "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('transaction_read_only')::pg_catalog.bool"
_SOURCE = """
SELECT s.source FROM pg_catalog.pg_settings AS s WHERE s.name OPERATOR(pg_catalog.=) 'default_transaction_read_only'
"""
_WHOSE = {
    "user": "the role (ALTER ROLE … SET)",
    "database": "the database (ALTER DATABASE … SET)",
    "database user": "the role in this database (ALTER ROLE … IN DATABASE … SET)",
    "global": "all roles (ALTER ROLE ALL SET)",
    "configuration file": "the server (postgresql.conf, or ALTER SYSTEM)",
    "command line": "the server (its command line)",
    "client": "the connection (options in the URL, or PGOPTIONS)",
}


def is_standby(conn: Connection) -> bool:
    """Whether the server is in recovery."""
    return bool(conn.execute(_STATE).fetchall()[0][0])


def refuse(conn: Connection) -> None:
    """Raise ConnectError where nothing can be written, with the reason."""
    [(standby, read_only)] = conn.execute(_STATE).fetchall()
    if standby:
        raise ConnectError(
            "this server is a standby (it is in recovery), so it only reads; connect to the primary: "
            "with several hosts in the URL, target_session_attrs=read-write finds it"
        )
    if read_only:
        [(source,)] = conn.execute(_SOURCE).fetchall()
        whose = f", a setting of {_WHOSE[source]}" if source in _WHOSE else ""
        raise ConnectError(
            f"this session only reads: default_transaction_read_only is on{whose}; turn it off there, "
            "or connect where it is off"
        )
