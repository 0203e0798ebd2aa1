"""A partitioned table as the catalog has it, and the statements that are sent to its partitions."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg import Connection, Error

from pgyoyo.identifiers import qualified
from pgyoyo.queries import named
from pgyoyo.sql.tree import Node

_QUERIES = Path(__file__).with_name("partitions.sql")
_LONGEST = 63  # bytes of a name, unless PostgreSQL was built otherwise (NAMEDATALEN)


class TakenError(ValueError):
    """Something else has the name that the statement gives."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One of the statements that are sent for the author's: `added` characters stand in place of its first `replaced`."""

    text: str
    added: int = 0
    replaced: int = 0

    @property
    def shift(self) -> int:
        """What is to be added to a position in it to have the author's."""
        return self.replaced - self.added


@dataclass(frozen=True, slots=True)
class Table:
    """A partitioned table, or one of its partitions; `parent` is the oid of the one above."""

    oid: int
    parent: int
    schema: str
    name: str
    kind: str
    shown: str

    @property
    def sql(self) -> str:
        """Its name in SQL."""
        return qualified(self.schema, self.name)

    @property
    def is_leaf(self) -> bool:
        """Whether it holds rows itself."""
        return self.kind != "p"


def tables(conn: Connection, node: Node) -> list[Table]:
    """The table that a statement is on, if it is partitioned, and its partitions; each behind the one it belongs to."""
    name = qualified(node.relation.schemaname or None, node.relation.relname)
    return [Table(*row) for row in rows(conn, "tree", {"table": name})]


def rows(conn: Connection, name: str, values: dict[str, Any]) -> list[Any]:
    """The rows of a query of partitions.sql."""
    return conn.execute(named(_QUERIES)[name].encode(), values).fetchall()


def definition(conn: Connection, table: Table, statement: str) -> str | None:
    """What a statement makes of our temporary copy of a table, as PostgreSQL shows it; None where that can't be had."""
    try:
        with conn.transaction(force_rollback=True):
            conn.execute("SET LOCAL lock_timeout = 1000")
            conn.execute(f"CREATE TEMPORARY TABLE _pgyoyo_like (LIKE {table.sql})".encode())
            conn.execute(statement.encode())
            return str(rows(conn, "definition", {})[0][0])
    except Error:
        if conn.closed:
            raise
        return None


def short(name: str, end: str = "") -> str:
    """The name as the server would cut it, in whole characters, with this (ASCII) end."""
    return name.encode()[: _LONGEST - len(end)].decode(errors="ignore") + end
