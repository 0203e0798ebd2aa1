"""The statements that a database's server has counted: its pg_stat_statements. Reads only."""

import psycopg
from psycopg import sql

from pgyoyo.errors import UsageError
from pgyoyo.workload.statements import Query

_SCHEMA = """\
SELECT n.nspname FROM pg_catalog.pg_extension AS e
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
WHERE e.extname OPERATOR(pg_catalog.=) 'pg_stat_statements'
"""
# An extension of before PostgreSQL 14 that nobody updated has no column toplevel.
_QUERIES = """\
SELECT query, pg_catalog.sum(calls)::pg_catalog.int8
FROM {}.pg_stat_statements AS s
WHERE coalesce((pg_catalog.to_jsonb(s) OPERATOR(pg_catalog.->>) 'toplevel')::pg_catalog.bool, true)
AND dbid OPERATOR(pg_catalog.=) (
    SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())
GROUP BY query
"""
_HIDDEN = "<insufficient privilege>"
_LOAD = "add pg_stat_statements to shared_preload_libraries in postgresql.conf and restart the server"


def queries(conn: psycopg.Connection) -> list[Query]:
    """The statements of the connected database with their calls, as pg_stat_statements has them; not those of functions.

    Raises UsageError with what to do where the extension is missing or not loaded, or hides other roles' statements.
    """
    place = f"database {conn.info.dbname}"
    if (row := conn.execute(_SCHEMA).fetchone()) is None:
        raise UsageError(
            f"{place} has no extension pg_stat_statements; run CREATE EXTENSION pg_stat_statements there ({_LOAD} "
            "where it is not loaded yet), or read logs and files: --log FILE, --sql DIR"
        )
    try:
        rows = conn.execute(sql.SQL(_QUERIES).format(sql.Identifier(row[0]))).fetchall()
    except psycopg.errors.ObjectNotInPrerequisiteState:
        raise UsageError(f"{place}: pg_stat_statements is not loaded; {_LOAD}") from None
    except psycopg.errors.InsufficientPrivilege:
        raise UsageError(
            f'{place}: role "{conn.info.user}" may not read pg_stat_statements; as its owner: '
            f'GRANT SELECT ON {row[0]}.pg_stat_statements TO "{conn.info.user}"'
        ) from None
    if any(text == _HIDDEN for text, _ in rows):
        raise UsageError(
            f'{place}: pg_stat_statements hides other roles\' statements from role "{conn.info.user}"; as a superuser: '
            f'GRANT pg_read_all_stats TO "{conn.info.user}"'
        )
    return [Query(text, calls=calls) for text, calls in rows if text]
