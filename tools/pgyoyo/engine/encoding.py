"""Encodings of clients and servers: Python's names for them, and which text a server can take."""

import codecs
import re
from dataclasses import replace
from functools import cache

from psycopg import Connection

from pgyoyo import sql
from pgyoyo.sql.script import Script, sent_offset

_BYTES = re.compile(r"\\x(?:[0-9a-f]{2})+")


@cache
def codec(encoding: str) -> str | None:
    """Python's name of one of PostgreSQL's encodings; None for SQL_ASCII, which is any, and for those Python doesn't have.

    The names are in the manual, section 23.3.1 (Supported Character Sets).
    """
    if encoding == "SQL_ASCII":
        return None
    name = re.sub(r"^WIN(?=\d)", "cp", encoding)
    for spelling in (name, name.replace("_", ""), re.sub(r"^KOI8(?=[RU])", "koi8-", name)):
        try:
            return codecs.lookup(spelling).name
        except LookupError:
            continue
    return None


def of_server(conn: Connection) -> str | None:
    """Python's name of the database's encoding where it can't hold every text; None for UTF8, and where that is not known."""
    name = codec((conn.pgconn.parameter_status(b"server_encoding") or b"UTF8").decode())
    return None if name == "utf-8" else name


def is_any(conn: Connection) -> bool:
    """Whether the database takes bytes of any encoding as they are (SQL_ASCII)."""
    return conn.pgconn.parameter_status(b"server_encoding") == b"SQL_ASCII"


def unfit(text: str, server: str | None) -> int | None:
    """The place of the first character that the server's encoding doesn't have."""
    try:
        text.encode(server or "utf-8")
    except UnicodeEncodeError as error:
        return error.start
    return None


def fitting(script: Script, server: str | None) -> Script:
    """The script without the characters that the server's encoding doesn't have, where they stand in comments.

    Only in those between statements, which psql doesn't send either; the bytes keep their places.
    """
    if unfit(script.sql.decode(), server) is None:
        return script
    script = script if script.statements else sql.parser.parse(script.data)
    sent, end = bytearray(script.sql), 0
    edges = [
        (sent_offset(script.pieces, statement.start), sent_offset(script.pieces, statement.end))
        for statement in script.statements
    ]
    for start, following in (*edges, (len(sent), len(sent))):
        between = sent[end:start].decode()
        while (place := unfit(between, server)) is not None:
            between = between.replace(between[place], "?" + " " * (len(between[place].encode()) - 1))
        sent[end:start] = between.encode()
        end = following
    return replace(script, sql=bytes(sent))


def to_stored(text: str, server: str | None) -> str:
    r"""A text as the ledger keeps it: as it is, or its bytes in UTF-8 as bytea writes them (\x…) where the server can't."""
    return text if unfit(text, server) is None else rf"\x{text.encode().hex()}"


def from_stored(text: str) -> str:
    """The text that was stored so. No file is mistaken for bytes: psql's commands are refused."""
    return bytes.fromhex(text[2:]).decode() if _BYTES.fullmatch(text) else text
