"""States that are kept with notes: what a reader of the whole history need not find out again.

The notes are a text that stands in the state itself, as the comment on a table of its ledger, which no schema shows.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import psycopg
from psycopg import Connection, sql
from psycopg.conninfo import conninfo_to_dict

from pgyoyo.engine.observer import Observer
from pgyoyo.migrations.migration import Migration
from pgyoyo.scratch import copies, shared, states
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.scratch.defaults import Defaults

_TABLE = "_yoyo_version"
# What another day may give another schema: moments that are frozen, names that code makes of them, and branches and loops.
_FROZEN = re.compile(rb"(?i)'(?:now|today|tomorrow|yesterday)'")
_CODE = re.compile(rb"(?i)\b(?:execute|elsif|loop)\b|\bif\b(?!\s+(?:not\s+)?exists\b)|\\gexec\b")
_VARYING = re.compile(
    rb"(?i)now\b|\b(?:current|local|clock|statement|transaction)_?(?:date|time|timestamp)\b|timeofday|random|uuid"
)


class Start:
    """Where scratch databases for a history begin: at the longest state with notes that an earlier run kept, or at nothing.

    `length` is how many of the migrations that state has.
    """

    def __init__(self, admin: Connection, order: Sequence[Migration], defaults: Defaults, *, kept: bool = True) -> None:
        self.admin = admin
        self._order = order
        self._defaults = defaults
        self._names = states.names_of(admin, order, defaults) if order else []
        self.length, schema = states.longest(admin, self._names, noted=True) if kept else (0, None)
        self._state = (self._names[self.length - 1], schema) if self.length else ("template0", None)
        rest = order[self.length :]
        worth = states.is_worth(rest) and not any(_is_volatile(migration.apply.data) for migration in order)
        self._changed_shared = shared.watched(admin, rest) if worth and not defaults.roles else None
        self._user: object = None

    @contextmanager
    def new(self, observer: Observer) -> Iterator[ScratchDatabase]:
        """A database that begins there; raises errors.InvalidCatalogName where another run has just swept the state."""
        with copies.new(self.admin, observer, self._defaults, state=self._state) as scratch:
            self._user = conninfo_to_dict(scratch.conninfo).get("user")
            yield scratch

    def notes(self, scratch: ScratchDatabase) -> str | None:
        """The notes that the state has."""
        query = "SELECT pg_catalog.obj_description(%s::pg_catalog.regclass, 'pg_class')"
        row = scratch.reader().execute(query, [f"{scratch.schema_name}.{_TABLE}"]).fetchone()
        return row[0] if row else None

    def keep(self, scratch: ScratchDatabase, notes: str) -> None:
        """Keep a database that has all migrations, and nothing else, for later runs, if it is worth it and none is surprised.

        Nothing where migrations changed what databases share, needed more rights, or may do something else tomorrow.
        """
        if self._changed_shared is None or conninfo_to_dict(scratch.conninfo).get("user") != self._user:
            return
        schema = scratch.schema_name
        comment = sql.SQL("COMMENT ON TABLE {}.{} IS {}").format(sql.SQL(schema), sql.SQL(_TABLE), notes)
        with suppress(psycopg.Error):
            scratch.conn.execute(comment)
            scratch.close()
            if not self._changed_shared():
                last = self._order[-1].id + states.NOTED
                states.keep(self.admin, scratch.name, self._names[-1], last, schema)


def _is_volatile(text: bytes) -> bool:
    return bool(_FROZEN.search(text) or (_CODE.search(text) and _VARYING.search(text)))
