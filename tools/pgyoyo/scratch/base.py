"""A scratch database that goes the plain way up, without sample rows, and copies of it at any point of the migrations."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from psycopg import Connection

from pgyoyo.console import Console
from pgyoyo.errors import MigrationError
from pgyoyo.migrations.migration import Migration
from pgyoyo.scratch import databases
from pgyoyo.scratch.copies import Copy


class Base:
    """Made when it is first needed, on the server of `admin`, and dropped when the stack ends.

    `broken` says what of `order` can't be applied, and why.
    """

    def __init__(self, admin: Connection, order: Sequence[Migration], console: Console, stack: ExitStack) -> None:
        self.broken: dict[str, str] = {}
        self._admin = admin
        self._order = order
        self._report = console
        self._stack = stack.enter_context(ExitStack())
        self._copy: Copy | None = None
        self._at = 0

    @contextmanager
    def fresh(self, i: int) -> Iterator[Copy]:
        """A copy of it just before the i-th migration, dropped at the end."""
        base = self.to(i)
        name = base.conn.info.dbname
        schema = base.backend.schema_name
        base.close()
        with databases.database(self._admin, template=name) as conninfo:
            copy = Copy(conninfo, self._report, schema)
            try:
                yield copy
            finally:
                copy.close()

    def to(self, i: int) -> Copy:
        """Itself, with the migrations before the i-th one applied, as far as that goes."""
        if self._copy is None or self._at > i:
            self._stack.close()
            self._copy = Copy(self._stack.enter_context(databases.database(self._admin)), self._report, None)
            self._at = 0
        elif self._copy.conn.closed:
            self._copy.reopen()
        for one in self._order[self._at : i]:
            if one.id in self.broken or any(name in self.broken for name in one.depends):
                self.broken.setdefault(one.id, "it depends on one that can't be applied")
                continue
            try:
                self._copy.run(one, "apply")
            except MigrationError as error:
                self.broken[one.id] = str(error)
        self._at = i
        return self._copy
