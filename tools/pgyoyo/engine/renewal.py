"""When a session has to make way for a new one: it keeps what a file has changed for those that begin later."""

from dataclasses import dataclass, field

from psycopg import Connection

from pgyoyo.migrations.migration import File
from pgyoyo.sql.lexer import mentioned

# Functions of users in another language than internal, C and SQL, whose numbers are fixed: such a language keeps the types of
# what a function read for as long as the session lasts, and then refuses another type (42804). DISCARD PLANS does not reach
# that.
_HAS_FUNCTIONS = """
SELECT EXISTS (SELECT FROM pg_catalog.pg_proc AS p
    WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
      AND p.prolang OPERATOR(pg_catalog.<>) ALL (ARRAY[12, 13, 14]::pg_catalog.oid[]))
"""
_MAKE_FUNCTIONS = (b"function", b"procedure", b"extension", b"language")


@dataclass(slots=True)
class Renewal:
    """Asked after every file that runs on a database; asks the server only where a file may have changed types."""

    _has_functions: bool | None = field(default=None, init=False)

    def is_needed(self, conn: Connection, file: File) -> bool:
        """Whether what runs after the file needs a new session, in order not to find the old one's settings or types."""
        if not self._has_functions and mentioned(file.data, _MAKE_FUNCTIONS):
            self._has_functions = None
        if not file.needs_new_session:
            return False
        if file.may_change_defaults:
            return True
        if self._has_functions is None:
            row = conn.execute(_HAS_FUNCTIONS).fetchone()
            assert row
            self._has_functions = row[0]
        return bool(self._has_functions)
