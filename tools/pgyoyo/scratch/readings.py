"""What is read of a scratch database between two files: its catalog, what its tables hold, where its sequences stand."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg import Connection

from pgyoyo.catalog import rows, sequences
from pgyoyo.catalog.changed import SnapshotReader
from pgyoyo.catalog.facts import FactsReader, Table
from pgyoyo.catalog.rows import TableRows
from pgyoyo.catalog.sequences import Standing
from pgyoyo.catalog.snapshot import Snapshot
from pgyoyo.engine import connection
from pgyoyo.scratch import rights

# Kinds of objects that may do more than was asked for.
_CODE = frozenset({"trigger", "rule", "function", "procedure", "aggregate"})


class Readings:
    """Reads a database on a session of its own, no transaction of other sessions being open.

    `catalog` reads what was written since it read last, here or in a copy. Whoever changes the catalog calls `changed`.
    """

    def __init__(self, conninfo: str, catalog: FactsReader | None) -> None:
        self.conninfo = conninfo
        self.catalog = catalog or FactsReader()
        self.changes = 0
        self._snapshot: Snapshot | None = None
        self._reading = 0
        self._reader: Connection | None = None

    def changed(self) -> None:
        """Forget what was read of the catalog: something else than `run` changes it."""
        self._snapshot = None
        self.changes += 1

    def wrote(self) -> None:
        """Forget it where rows have been written, and there is code that may have changed the catalog then."""
        if self._snapshot is None or any(kind in _CODE for kind, _ in self._snapshot):
            self.changed()

    def snapshot(self, *, owners: bool = False) -> Snapshot:
        """The catalog as it is now, no transaction being open; read by a session that keeps the plan of the long query."""
        whole = self._whole()
        if owners:
            return {key: rights.runner(value) if key[0] == "owner" else value for key, value in whole.items()}
        return {key: value for key, value in whole.items() if key[0] != "owner"}

    def read_changes(self) -> SnapshotReader:
        """The reader of the catalog, which has just read what changed; no transaction being open."""
        self.catalog.update(self.reader())
        return self.catalog

    def tables(self) -> list[Table]:
        """What is to be known of the tables to fill them and to tell their rows apart."""
        return self._known().tables(self.reader())

    def types(self, oids: Iterable[str]) -> Mapping[str, Table]:
        """What is to be known of the types with these OIDs to give values of them."""
        return self._known().types(self.reader(), oids)

    def rows(self, tables: Sequence[Mapping[str, Any]] | None = None, *, hashed: bool = True) -> dict[str, TableRows]:
        """What the tables hold, as rows.rows gives it: these, or all."""
        tables = self.tables() if tables is None else tables
        return rows.rows(self.reader(), tables, self.catalog.contents, hashed=hashed)

    def standings(self, held: Mapping[str, TableRows]) -> list[Standing]:
        """Where each sequence stands, the tables holding these rows."""
        return sequences.standings(self.reader(), self._known().sequences(self.reader()), held)

    def reader(self) -> Connection:
        """A session that reads what was committed, and keeps the plans of its queries."""
        if self._reader is None:
            self._reader = connection.connect(self.conninfo)
            self._reader.prepare_threshold = 0
        return self._reader

    def end_reader(self) -> None:
        """End that session, until it is used again."""
        if self._reader:
            connection.end(self._reader)
            self._reader = None

    def _whole(self) -> Snapshot:
        if self._snapshot is None:
            self._snapshot = self.catalog.read(self.reader())
            self._reading = self.catalog.reading
        return self._snapshot

    def _known(self) -> FactsReader:
        """The reader of the catalog, which knows what there is here now; it may have read a copy last."""
        if self._snapshot is None or self._reading != self.catalog.reading:
            self._snapshot = None
            self._whole()
        return self.catalog
