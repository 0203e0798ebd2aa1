"""Whether the server reads a text as it was read here: code may have changed the settings that decide that."""

import re
from dataclasses import dataclass, field
from functools import partial

from psycopg import Connection

from pgyoyo.engine.failures import read_otherwise
from pgyoyo.migrations.migration import File
from pgyoyo.sql.psql_scanner import Strings
from pgyoyo.sql.script import Statement

# A file with one of these may set client_encoding itself: what it says then is what it means.
_SETS_ENCODING = re.compile(rb"(?i)\bclient_encoding\b|\bset\s+(?:(?:session|local)\s+)?names\b")
# A text that any change of the settings concerns.
ANY = "\\é".encode()


def changed_setting(conn: Connection, file: File, text: bytes, *, escapes: bool) -> str:
    """The setting by which the server would read this text of a file otherwise; "" for none. Sends nothing.

    The server reports both settings whenever they change (manual, section 54.2.7). `escapes`: a backslash does, in strings
    without an E, as far as the file shows.
    """
    status = conn.pgconn.parameter_status
    if b"\\" in text and (status(b"standard_conforming_strings") == b"off") != escapes:
        return "standard_conforming_strings"
    if text.isascii() or b"SQL_ASCII" in (status(b"server_encoding"), status(b"client_encoding")):
        return ""
    if status(b"client_encoding") == b"UTF8" or _SETS_ENCODING.search(file.data):
        return ""
    return "client_encoding"


@dataclass(slots=True)
class Reading:
    """How the statements of a file outside a transaction are read, one after the other, as far as the file shows."""

    conn: Connection
    file: File
    _strings: Strings = field(default_factory=Strings, init=False)
    _last: Statement | None = field(default=None, init=False)
    # The statement that changed a setting, as the file doesn't show.
    _changing: Statement | None = field(default=None, init=False)

    def begin(self, statement: Statement, text: bytes, *, sent: bool) -> None:
        """Take the next statement; raises StatementError where it is to be sent and the server would read it otherwise."""
        changed, escapes = partial(changed_setting, self.conn, self.file), self._strings.escapes
        self._changing = (self._changing or self._last) if changed(ANY, escapes=escapes) else None
        setting = changed(text, escapes=escapes) if sent else ""
        if setting and self._changing:
            raise read_otherwise(self.file, self._changing, setting, started=True)
        for part in statement.parts:
            self._strings.follow(self.file.data, part.start, part.end)
        self._last = statement
