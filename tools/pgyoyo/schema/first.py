"""The schema of a live database as the first migration of a project."""

from psycopg import Connection

from pgyoyo.engine import which_ledger
from pgyoyo.importing import ledgers
from pgyoyo.importing.source import Imported, Project, Section
from pgyoyo.schema import files
from pgyoyo.schema.verify import live

TOOL = "database"
_HEAD_END = "\n\n"


def read(conn: Connection, conninfo: str) -> Project:
    """One migration that makes what the database has, without ledgers, rows and owners; reads only.

    Raises ServerError and PgyoyoError as pg_dump fails, and where a table is just being altered.
    """
    catalog = live(conn)
    tools = ledgers.find(conn)
    left_out = [option for ledger in tools for option in _options(ledger)]
    left_out.append(f'--exclude-table=*."{which_ledger.table_of(conn)}"')
    text = files.strip(files.dump(conninfo, left_out), files.filled_views(catalog))
    name = conn.info.dbname
    settings = text.removeprefix(files.SQL_HEAD.partition(_HEAD_END)[0]).lstrip("\n")
    warnings = [
        "rows are not part of it, nor are roles; write those that belong to the schema into a migration of their own"
    ]
    warnings += [f"{ledger}, the ledger of {ledger.tool}, was left out" for ledger in tools]
    migration = Imported("0001_initial_schema", name, Section(settings))
    return Project(TOOL, (migration,), warnings=tuple(warnings))


def _options(ledger: ledgers.ToolLedger) -> tuple[str, ...]:
    if ledger.shown == ledger.schema:
        return (f'--exclude-schema="{ledger.schema}"',)
    return (f'--exclude-table="{ledger.schema}"."{ledger.table}"',)
