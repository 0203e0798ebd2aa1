"""Where a file is cut into several messages: the server reads a message whole, and code in it can see all of it.

psql sends statement by statement. One message for a file means the same, except behind a change of how text is read, and to
functions that look at the message.
"""

from pathlib import Path
from typing import NamedTuple

from psycopg import Connection

from pgyoyo import sql
from pgyoyo.queries import named
from pgyoyo.sql.lexer import mentioned
from pgyoyo.sql.script import Script, sent_offset

_QUERIES = Path(__file__).with_name("parts.sql")
# By name and oid (pg_proc.dat): the text of the message, when it came, and the same of all sessions.
_SEEING = {"current_query": 817, "statement_timestamp": 2648, "pg_stat_get_activity": 2022, "pg_stat_activity": 2022}
_SEEING_WORDS = tuple(word.encode() for word in _SEEING)
# How they can change it: sql/lexical.py knows which statements do.
_LEXICAL = (
    b"standard_conforming_strings", b"backslash_quote", b"escape_string_warning", b"client_encoding", b"names",
    b"reset", b"discard", b"set_config",
)  # fmt: skip


def sees_messages(data: bytes) -> bool:
    """Whether a file holds, or makes, code that can see the message that a statement came in."""
    return bool(mentioned(data, _SEEING_WORDS))


def database_sees_messages(conn: Connection) -> bool:
    """Whether code that is in the database can, or may change how text is read: no file shows when it does."""
    words = "|".join((*_SEEING, "standard_conforming_strings", "client_encoding"))
    oids = "|".join(sorted({str(oid) for oid in _SEEING.values()}))
    query = named(_QUERIES)["sees_messages"].replace("{words}", words).replace("{oids}", oids)
    row = conn.execute(query.encode()).fetchone()
    return bool(row and row[0])


class Cut(NamedTuple):
    """Where in the SQL of a script a new message begins; `escapes`: a backslash does, in what follows, without an E."""

    offset: int
    escapes: bool


def cuts(script: Script, *, each: bool) -> tuple[Cut, ...]:
    """Where new messages begin: at `each` statement, or behind those that need it.

    A change of how text is read matters only to what the settings are about: backslashes, and characters that are not ASCII.
    """
    if not each and not ((b"\\" in script.sql or not script.sql.isascii()) and mentioned(script.data, _LEXICAL)):
        return ()
    script = script if script.statements else sql.parser.parse(script.data)
    behind = set() if each else sql.lexical.changing(script)
    places, strings, last = [], sql.psql_scanner.Strings(), None
    for statement in script.statements:
        if each or last in behind:
            places.append(Cut(sent_offset(script.pieces, statement.start), strings.escapes))
        strings.follow(script.data, statement.start, statement.end)
        last = statement
    return tuple(places)
