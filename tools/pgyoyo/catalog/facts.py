"""What is to be known of tables, types and sequences to fill and compare them, read again only where it was written."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg import Connection

from pgyoyo.catalog import rows, sequences
from pgyoyo.catalog.changed import FIRST, SnapshotReader
from pgyoyo.catalog.rows import TableRows
from pgyoyo.catalog.sequences import Listed

Table = dict[str, Any]


class Whole:
    """The facts of a session's database, all of which are read each time."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def tables(self) -> list[Table]:
        """As rows.every_table gives them."""
        return rows.every_table(self._conn)

    def types(self, oids: Iterable[str]) -> Mapping[str, Table]:
        """The types with these OIDs, and what they are made of, by OID; perhaps more."""
        del oids  # all of them
        return rows.types(self._conn)

    def rows(self, tables: Sequence[Mapping[str, Any]]) -> dict[str, TableRows]:
        """What these tables hold."""
        return rows.rows(self._conn, tables)

    def wrote(self) -> None:
        """Nothing to forget: all is read each time."""


class FactsReader(SnapshotReader):
    """A SnapshotReader that also reads the facts of tables, types and sequences.

    Each is asked for on a session of the database that was read last, in which no catalog has been written since. What was
    read of a relation holds until `update` reads it again; partitioned tables, whose partitions are read alone, until any is.
    `contents`: what rows.rows read last of each table, here or in a copy.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tables: dict[int, Table] = {}
        self._in_order: list[Table] = []
        self._tables_at = 0
        self._sequences: dict[int, list[Listed]] = {}
        self._sequences_at = 0
        self._types: Mapping[str, Table] = {}
        self._types_at = 0
        self.contents: dict[str, rows.Kept] = {}

    def tables(self, conn: Connection) -> list[Table]:
        """As rows.every_table gives them."""
        if self._tables_at != self.moved:
            self._tables = {oid: table for oid, table in self._tables.items() if oid in self.read_in}
            partitioned = [oid for oid, table in self._tables.items() if table["partitioned"]]
            again = {*self._written_since(self._tables_at), *partitioned}
            with rows.settled(conn):
                read = rows.table_facts(conn, sorted(again)) if again else {}
                code = rows.code(conn)
            kept = {oid: table for oid, table in self._tables.items() if oid not in again}
            self._tables = kept | read
            self._in_order = rows.in_order(self._tables, code)
            self._tables_at = self.moved
        return self._in_order

    def types(self, conn: Connection, oids: Iterable[str]) -> Mapping[str, Table]:
        """The types with these OIDs, and what they are made of, by OID; perhaps more."""
        # Those of the server never change.
        if self._types_at != self.moved and not all(int(oid) < FIRST and oid in self._types for oid in oids):
            self._types = rows.types(conn)
            self._types_at = self.moved
        return self._types

    def sequences(self, conn: Connection) -> list[Listed]:
        """As sequences.listed gives them, in any order."""
        if self._sequences_at != self.moved:
            written = set(self._written_since(self._sequences_at))
            # A table that went took its default with it, and wrote nothing of a sequence that is not its own.
            same = (self.read_in.keys() - written) | {None}
            fed = {oid for oid, listed in self._sequences.items() if any(row.relid not in same for row in listed)}
            again = written | fed
            kept = {oid: listed for oid, listed in self._sequences.items() if oid in self.read_in and oid not in again}
            if again:
                with rows.settled(conn):
                    read = sequences.listed(conn, sorted(again))
                kept = {oid: listed for oid, listed in kept.items() if oid not in {row.oid for row in read}}
                for row in read:
                    kept.setdefault(row.oid, []).append(row)
            self._sequences = kept
            self._sequences_at = self.moved
        return [row for listed in self._sequences.values() for row in listed]

    def _written_since(self, reading: int) -> list[int]:
        """The relations that were read again since."""
        return [oid for oid, number in self.read_in.items() if number > reading]
