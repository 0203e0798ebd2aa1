"""The SQL of one file: what is sent for it, and where in the file its statements are.

Small, since a run whose files are all plain needs neither PostgreSQL's parser nor what reads a file as psql does.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import lru_cache

from pgyoyo.sql.lexer import mentioned, start_of

AUTOCOMMIT = frozenset(
    ("create-index-concurrently", "drop-index-concurrently", "reindex-concurrently", "other-no-transaction")
)
# Every word that can keep a statement from being sent as it stands: those that parser.py and psql_scanner.py look for, and
# SET TRANSACTION. None of them can be written in another way, and no number or letter can stand before one.
_NOT_PLAIN = (
    b"begin start commit end rollback abort prepare savepoint release transaction copy stdin stdout vacuum discard system "
    b"database tablespace concurrently reindex cluster subscription"
).split()
# In a longer file the parser itself is faster than the search for whole words.
_SHORT = 1 << 16


@dataclass(frozen=True, slots=True)
class Target:
    """The index or table of a statement CONCURRENTLY: names as the catalog has them, None where the statement gives none.

    CREATE gives the table, and perhaps no index name; DROP and REINDEX INDEX the index; REINDEX TABLE the table.
    """

    schema: str | None
    index: str | None
    table: str | None


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement: bytes start..end of the file, from its first token to before its semicolon.

    `name` is its verb and object for a message, in at most 60 characters. `data` is the span of a COPY's data in the
    file, without the `\\.` line; `target` is what a statement CONCURRENTLY works on. `block` are the statements of a
    BEGIN … COMMIT that stands for one in a file outside a transaction, `begin` its BEGIN where that says more.
    """

    start: int
    end: int
    kind: str
    name: str
    data: tuple[int, int] | None = None
    target: Target | None = None
    block: tuple["Statement", ...] = ()
    begin: str = ""

    @property
    def parts(self) -> tuple["Statement", ...]:
        """The statements of a block, or itself."""
        return self.block or (self,)

    @property
    def needs_autocommit(self) -> bool:
        """Whether PostgreSQL refuses it in a transaction block, as far as its text shows."""
        return self.kind in AUTOCOMMIT


@dataclass(frozen=True, slots=True)
class Script:
    """The SQL of one file: what is sent for it, and the statements in it.

    `sql` is the file without BOM and COPY data, with blanks for psql's restrict lines and for the file's own BEGIN and
    COMMIT, which `wrapper` holds. `parsed` is False where the parser could not read it: the server decides, and
    `statements` are then what psql would send.
    """

    data: bytes = field(repr=False)
    sql: bytes = field(repr=False)
    statements: tuple[Statement, ...]
    wrapper: tuple[Statement, Statement] | None
    modes: tuple[Statement, ...]
    problems: tuple[tuple[int, str], ...]
    parsed: bool
    # (offset in sql, offset in data) where each stretch of the file begins that is sent
    pieces: tuple[tuple[int, int], ...] = field(repr=False)

    @property
    def begin(self) -> bytes:
        """The file's own BEGIN with its options, or a plain one; a semicolon may follow."""
        if self.wrapper is None:
            return b"BEGIN"
        text = self.data[self.wrapper[0].start : self.wrapper[0].end]
        return text + b"\n" if b"--" in text else text

    @property
    def opening(self) -> tuple[bytes, ...]:
        """The statements that open the transaction: `begin`, then the file's leading SET TRANSACTION."""
        return (self.begin, *(self.data[mode.start : mode.end] + b"\n" for mode in self.modes))

    @property
    def copies(self) -> tuple[tuple[int, int], ...]:
        """The spans of COPY data in the file, one for each COPY … FROM stdin, in order."""
        return tuple(part.data for statement in self.statements for part in statement.parts if part.data)

    def text(self, statement: Statement) -> bytes:
        """The SQL to send for a single statement."""
        return self.sql[sent_offset(self.pieces, statement.start) : sent_offset(self.pieces, statement.end)]

    def offset(self, position: int) -> int:
        """The byte offset in the file of the server's error position, which counts characters of `sql` from 1."""
        sent = position - 1
        if not self.sql.isascii():
            sent = len(self.sql.decode(errors="replace")[:sent].encode())
        return filed_offset(self.pieces, min(max(sent, 0), len(self.sql)))

    def line(self, offset: int) -> int:
        """The line of a byte offset in the file, from 1."""
        return self.data.count(b"\n", 0, offset) + 1


@lru_cache(maxsize=4)  # a file is checked before anything runs, and read again when its turn comes
def is_plain(data: bytes) -> bool:
    """Whether a file can be sent without being parsed, as most can."""
    # Checked first: a big file has COPY data as a rule, and the mark at its end.
    if b"\\" in data:
        return False
    words = mentioned(data, _NOT_PLAIN)
    return not words or (len(data) <= _SHORT and not re.search(rb"(?i)\b(?:%b)\b" % b"|".join(words), data))


def plain(data: bytes) -> Script | None:
    """The script of a file that can be sent without being parsed, without its statements; None where it must be parsed."""
    if not is_plain(data):
        return None
    start = start_of(data)
    return Script(data, data[start:], (), None, (), (), parsed=False, pieces=((0, start),))


def sent_offset(pieces: list[tuple[int, int]] | tuple[tuple[int, int], ...], offset: int) -> int:
    """The offset in what is sent for an offset in the file; in a gap, that of its end."""
    following = max(bisect_right(pieces, offset, key=lambda piece: piece[1]), 1)
    sent, filed = pieces[following - 1]
    return min([sent + offset - filed, *(piece[0] for piece in pieces[following : following + 1])])


def filed_offset(pieces: tuple[tuple[int, int], ...], offset: int) -> int:
    """The offset in the file for an offset in what is sent."""
    sent, filed = pieces[bisect_right(pieces, offset, key=lambda piece: piece[0]) - 1]
    return filed + offset - sent
