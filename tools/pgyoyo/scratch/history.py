"""A scratch database on its way up the history, and copies of it."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from psycopg import Connection

from pgyoyo.catalog.facts import FactsReader
from pgyoyo.engine.observer import Observer
from pgyoyo.migrations.migration import Migration
from pgyoyo.scratch import databases, states
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.scratch.defaults import NONE, Defaults
from pgyoyo.scratch.states import After


class History:
    """A scratch database that goes up a history without sample rows, and copies of it at any point.

    Made when it is first needed, on the server of `admin`, and dropped when the stack ends. `broken` says which migrations of
    `order` can't be applied, and why. `defaults` are what its sessions begin with. `start`: a database that is as after the
    first migrations already, with nobody connected to it, which is somebody else's to drop; it is used up.
    """

    def __init__(
        self,
        admin: Connection,
        order: Sequence[Migration],
        observer: Observer,
        stack: ExitStack,
        defaults: Defaults = NONE,
        start: After | None = None,
    ) -> None:
        self._start = start
        self.broken: dict[str, str] = {}
        self._created: dict[str, int] = {}
        self._admin = admin
        self._order = order
        self._observer = observer
        self._defaults = defaults
        self._stack = stack.enter_context(ExitStack())
        self._database: ScratchDatabase | None = None
        self._at = 0
        self._catalog = FactsReader()

    @contextmanager
    def fresh(self, i: int) -> Iterator[ScratchDatabase]:
        """A copy of it just before the i-th migration, dropped at the end."""
        original = self._reached(i)
        schema = original.schema_name
        original.close()
        with databases.database(self._admin, template=original.name) as conninfo:
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
            made, self._start = self._start, None
            if made is None or made.length != i:
                after = states.database_after(
                    self._admin,
                    self._order[:i],
                    self._observer,
                    defaults=self._defaults,
                    broken=self.broken,
                    in_use=True,
                )
                made = self._stack.enter_context(after)
            self._database = made.scratch or ScratchDatabase(
                made.conninfo, self._observer, made.schema, defaults=self._defaults
            )
            self._database.catalog = self._catalog
            self._stack.callback(self._database.close)
            self._at = i
            if self._database.sees_messages is None:
                self._database.sees_messages = made.sees_messages
            if self._database.sees_messages is None:
                self._database.look_for_code()
        if self._at < i:
            if self._database.conn.closed:
                self._database.reopen()
            for _ in self._database.rebuilding(self._order[self._at : i], broken=self.broken):
                pass
            self._at = i
        return self._database
