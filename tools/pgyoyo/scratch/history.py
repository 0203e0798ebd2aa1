"""A scratch database on its way up the history, and copies of it."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict

from pgyoyo.catalog.changed import SnapshotReader
from pgyoyo.engine.observer import Observer
from pgyoyo.migrations.migration import Migration
from pgyoyo.scratch import databases, states
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.scratch.defaults import NONE, Defaults


class History:
    """A scratch database that goes up a history without sample rows, and copies of it at any point.

    Made when it is first needed, on the server of `admin`, and dropped when the stack ends. `broken` says which migrations of
    `order` can't be applied, and why. `defaults` are what its sessions begin with.
    """

    def __init__(
        self,
        admin: Connection,
        order: Sequence[Migration],
        observer: Observer,
        stack: ExitStack,
        defaults: Defaults = NONE,
    ) -> None:
        self.broken: dict[str, str] = {}
        self._created: dict[str, int] = {}
        self._admin = admin
        self._order = order
        self._observer = observer
        self._defaults = defaults
        self._stack = stack.enter_context(ExitStack())
        self._database: ScratchDatabase | None = None
        self._at = 0
        self._catalog = SnapshotReader()

    @contextmanager
    def fresh(self, i: int) -> Iterator[ScratchDatabase]:
        """A copy of it just before the i-th migration, dropped at the end."""
        original = self._reached(i)
        name, schema = str(conninfo_to_dict(original.conninfo)["dbname"]), original.backend.schema_name
        original.close()
        with databases.database(self._admin, template=name) as conninfo:
            copy = ScratchDatabase(
                original.as_here(conninfo), self._observer, schema, defaults=self._defaults, catalog=self._catalog
            )
            copy.knows(original)
            for name in [name for name, place in self._created.items() if i <= place]:
                copy.drop_given(name)
            try:
                yield copy
            finally:
                copy.close()

    @contextmanager
    def itself(self, i: int) -> Iterator[ScratchDatabase]:
        """Itself just before the i-th migration, to be worked on; where a copy is asked for, the history is made again."""
        database = self.to(i)
        with self._stack.pop_all():
            self._database = None
            try:
                yield database
            finally:
                database.close()

    def creates(self, i: int, names: Collection[str]) -> None:
        """Note that the i-th migration creates these schemas of `defaults`: copies just before it have none of them."""
        self._created |= dict.fromkeys(names, i)

    def to(self, i: int) -> ScratchDatabase:
        """Itself, with the migrations before the i-th one applied, as far as that goes."""
        database = self._reached(i)
        if database.conn.closed:
            database.reopen()
        return database

    def _reached(self, i: int) -> ScratchDatabase:
        """As `to`; its session may have ended."""
        if self._database is None or self._at > i:
            self._stack.close()
            conninfo, schema = self._stack.enter_context(
                states.database_after(
                    self._admin, self._order[:i], self._observer, defaults=self._defaults, broken=self.broken
                )
            )
            self._database = ScratchDatabase(
                conninfo, self._observer, schema, defaults=self._defaults, catalog=self._catalog
            )
            self._at = i
            self._database.look_for_code()
        if self._at < i:
            if self._database.conn.closed:
                self._database.reopen()
            for _ in self._database.rebuilding(self._order[self._at : i], broken=self.broken):
                pass
            self._at = i
        return self._database
