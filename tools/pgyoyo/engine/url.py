"""Database URLs as other libraries take them, in libpq's words."""

import re
from collections.abc import Iterator
from urllib.parse import quote, unquote

# postgis:// and the like are those of Django's packages that read a URL.
SCHEME = re.compile(r"^(?:postgres(?:ql)?(?:\+[a-z0-9_]+)?|postgis|pgsql|timescale|timescalegis)://", re.IGNORECASE)
# Those of other database systems, with any driver.
OTHER_SYSTEM = re.compile(
    r"^(sqlite3?|spatialite|mysql2?|mysqlgis|mariadb|oracle|oracledb|mssql|sqlserver|cockroachdb|cockroach|crdb|redshift|duckdb|snowflake)"
    r"(?:\+[a-z0-9_]+)?:(?://)?",
    re.IGNORECASE,
)
# What means something to a library only, not to the session: pools, caches, Django's own settings.
_LIBRARY = (
    "async_fallback atomic_requests autocommit binary_parameters cache_query_executions charset command_timeout "
    "conn_health_checks conn_max_age connection_limit cursor_factory disable_server_side_cursors echo engine "
    "executemany_mode hide_parameters isolation_level max_inactive_connection_lifetime max_overflow max_queries "
    "max_size maxsize min_size minsize native_inet_types pgbouncer pool pool_max_conns pool_pre_ping pool_recycle "
    "pool_size pool_timeout pool_use_lifo prepare_threshold preparethreshold prepared_statement_cache_size "
    "prepared_statement_name_func row_factory serverversion socket_timeout sslaccept statement_cache_size "
    "test_charset timeout use_batch_mode use_native_hstore use_native_unicode"
)
_DROPPED = frozenset(_LIBRARY.split())
_RENAMED = {
    "unix_sock": "host",
    "db": "dbname",
    "database": "dbname",
    "username": "user",
    "applicationname": "application_name",
}
_PATHS = ("schema", "search_path", "currentschema")
_SSL = {"true": "require", "1": "require", "on": "require", "false": "disable", "0": "disable", "off": "disable"}


def to_libpq(database: str) -> str:
    """The URL with libpq's scheme and query keys; a string that is none, or is doubtful, as it is.

    Keys that only a library understands go; `schema` and `search_path` become the session's search_path, asyncpg's `ssl` an
    sslmode.
    """
    scheme = SCHEME.match(database)
    if scheme is None:
        return database
    base, mark, query = database[scheme.end() :].partition("?")
    base = f"postgresql://{base}"
    # A ? in a password that is not encoded: libpq's own error is the best word for it.
    if not mark or "@" in query:
        return base + mark + query
    pairs = [_translated(pair) for pair in query.split("&") if pair]
    kept = [f"{name}={value}" for name, value in pairs if name not in ("", "options")]
    options = [unquote(value) for name, value in pairs if name == "options"]
    if options:
        kept.append("options=" + quote(" ".join(options), safe=""))
    return base + ("?" + "&".join(kept) if kept else "")


def left_out(database: str) -> Iterator[str]:
    """The query keys of a URL that mean nothing to the session, as they are written."""
    _, mark, query = database.partition("?")
    for pair in query.split("&") if mark and SCHEME.match(database) and "@" not in query else ():
        if pair.partition("=")[0].lower() in _DROPPED:
            yield pair.partition("=")[0]


def _translated(pair: str) -> tuple[str, str]:
    """A query key and its value in libpq's words; an empty key for what goes."""
    given, _, value = pair.partition("=")
    name = given.lower()
    if name in _DROPPED:
        return "", ""
    if name in _PATHS:
        # Blanks and backslashes end or escape a word of options.
        path = re.sub(r"([\\ ])", r"\\\1", unquote(value))
        return "options", quote(f"-csearch_path={path}", safe="")
    if name in ("ssl", "ssl_require", "sslrequire"):
        return "sslmode", _SSL.get(value.lower(), value)
    return _RENAMED.get(name, given), value
