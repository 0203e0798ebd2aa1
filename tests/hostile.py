"""A database in which a hostile schema stands in front of pg_catalog on everybody's search_path; see hostile.sql."""

import re
from pathlib import Path

import psycopg
from psycopg import sql

import pgyoyo

_PACKAGE = Path(pgyoyo.__file__).parent
_SQL = Path(__file__).with_name("hostile.sql")
# Their schema is the one where the ledger goes; plain names of it come first, all others are the hostile ones.
PATH = "app, evil, pg_catalog"


def shadow(conn: psycopg.Connection) -> None:
    """Make the schemas app and evil, and have every later session find both before pg_catalog."""
    texts = (path.read_text() for path in _PACKAGE.rglob("*") if path.suffix in (".py", ".sql"))
    words = " ".join(sorted({word for text in texts for word in re.findall(r"\b([a-z]\w*)\(", text)}))
    with conn.transaction():
        conn.execute("CREATE SCHEMA app")
        conn.execute("SELECT set_config('test.words', %s, true)", [words])
        conn.execute(_SQL.read_bytes())
    name = sql.Identifier(conn.info.dbname)
    conn.execute(sql.SQL("ALTER DATABASE {} SET search_path = " + PATH).format(name))


def calls(conn: psycopg.Connection) -> int:
    """How often anything of evil was called."""
    row = conn.execute("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM evil.calls").fetchone()
    assert row
    return int(row[0])
