"""What libpq takes from the environment, kept away from the embedded server: another server's settings stand there.

The source is conninfo_add_defaults and EnvironmentOptions in PostgreSQL's fe-connect.c.
"""

from collections.abc import Mapping, MutableMapping

# Of these no connection string says "none": the first names a section of a file, the others go to the server as they are.
UNSPEAKABLE = ("PGSERVICE", "PGTZ", "PGDATESTYLE", "PGGEQO")

_ADDRESS = ("host", "port", "user", "dbname", "service", "servicefile")
# A name that others see in pg_stat_activity, and that decides nothing.
_HARMLESS = ("application_name",)
_NEUTRAL = {
    "channel_binding": "disable",
    "client_encoding": "UTF8",
    "connect_timeout": "10",
    "gssencmode": "disable",
    "max_protocol_version": "3.0",
    "min_protocol_version": "3.0",
    "require_auth": "none,scram-sha-256,md5,password",
    "sslcertmode": "disable",
    "sslmode": "disable",
}


def neutral() -> dict[str, str]:
    """A value for each option of the installed libpq that a variable would give one to, but for the address itself.

    Given with the address of a Unix socket, they have no effect.
    """
    from psycopg.pq import Conninfo  # stopping a server needs no client

    options = {option.keyword.decode(): option for option in Conninfo.get_defaults() if option.envvar}
    return {
        name: _NEUTRAL.get(name, (option.compiled or b"").decode())
        for name, option in options.items()
        if name not in (*_ADDRESS, *_HARMLESS)
    }


def without_neutral(facts: Mapping[str, str]) -> dict[str, str]:
    """The options of a connection string without those of `neutral`, where it has all of them: the address that is left."""
    added = neutral()
    if not added.keys() <= facts.keys():
        return dict(facts)
    return {name: value for name, value in facts.items() if added.get(name) != value}


def leave_out(environ: MutableMapping[str, str]) -> None:
    """Take away what no connection string can make ineffective; for a process that is about to use the embedded server."""
    for name in UNSPEAKABLE:
        environ.pop(name, None)
