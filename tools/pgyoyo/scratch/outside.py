"""Extensions that a database has and no migration creates: somebody with more rights made them first."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from psycopg import Connection, errors, sql
from psycopg.conninfo import make_conninfo

from pgyoyo import extensions
from pgyoyo.engine import connection
from pgyoyo.errors import StatementError
from pgyoyo.migrations.migration import Migration

_THERE = """
SELECT e.extname, n.nspname
FROM pg_catalog.pg_extension AS e JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) e.extnamespace
WHERE e.extname OPERATOR(pg_catalog.<>) 'plpgsql' ORDER BY e.oid
"""
# What a server says of a function, a type, an access method, a table or a schema of an extension that is not there.
_LACKING = (errors.UndefinedFunction, errors.UndefinedObject, errors.UndefinedTable, errors.InvalidSchemaName)


class Extension(NamedTuple):
    """An extension, and the schema that its objects are in."""

    name: str
    schema: str

    @property
    def note(self) -> str:
        """What to say of it where it was made for a scratch database."""
        return f"extension {self.name} was created first: the database has it, and no migration creates it"


def of(conn: Connection, admin: Connection, migrations: Iterable[Migration], error: StatementError) -> list[Extension]:
    """Those of the database of `conn` that the server of `admin` can have, if the error may come from the lack of one."""
    if not isinstance(error.server_error, _LACKING):
        return []
    created = {needed.name for needed in extensions.needed(migration.apply for migration in migrations)}
    there = [Extension(*row) for row in conn.execute(_THERE).fetchall() if row[0] not in created]
    available = extensions.available(admin) if there else set()
    return [extension for extension in there if extension.name in available]


def create(admin: Connection, dbname: str, wanted: Sequence[Extension]) -> None:
    """Make them in a database of the server, each in its schema, as the role of `admin`."""
    if not wanted:
        return
    with connection.connect(make_conninfo(connection.to_reconnect(admin), dbname=dbname)) as conn:
        for name, schema in wanted:
            values = {"name": sql.Identifier(name), "schema": sql.Identifier(schema)}
            if not schema.startswith("pg_"):
                conn.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {schema}").format(**values))
            conn.execute(sql.SQL("CREATE EXTENSION IF NOT EXISTS {name} SCHEMA {schema} CASCADE").format(**values))
