"""Where in a file the server's error lies, and how it is shown."""

import re
from dataclasses import dataclass
from pathlib import Path

import psycopg

_PASSWORD = re.compile(r"(?i)(\bpassword\s+)(E?'(?:[^']|'')*'?)")


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file: line from 1, column in characters from 1 (0: the line as a whole)."""

    path: Path
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" + (f":{self.column}" if self.column else "")


def place_at(path: Path, data: bytes, offset: int, *, exact: bool) -> Place:
    """The place of a byte offset; `exact` when it is the very spot, not only the statement's begin."""
    start = data.rfind(b"\n", 0, offset) + 1
    end = data.find(b"\n", offset)
    line = data[start : end if end >= 0 else len(data)].rstrip(b"\r").decode(errors="replace")
    column = len(data[start:offset].decode(errors="replace")) + 1
    return Place(path, data.count(b"\n", 0, offset) + 1, column if exact else 0, line)


def excerpt(place: Place) -> str:
    """The line with a caret below the column; a long line is cut around it, and password literals are hidden."""
    text, column = place.text.replace("\t", " "), place.column
    if column > 80:
        cut = column - 60
        text, column = "…" + text[cut:], column - cut + 1
    hidden = hide(text)
    text = hidden[:120] + ("…" if len(hidden) > 120 else "")
    gutter = f"  {place.line} | "
    shown = f"{gutter}{text}"
    if place.column:
        shown += "\n" + " " * (len(gutter) + column - 1) + "^"
    return shown


def server_words(error: psycopg.Error) -> str:
    """The server's message, DETAIL, HINT, CONTEXT and SQLSTATE, unchanged."""
    diag = error.diag
    if diag.message_primary is None:
        return str(error).strip() or "the connection was lost"
    lines = [f"{diag.severity or 'ERROR'}: {diag.message_primary} (SQLSTATE {diag.sqlstate})"]
    for word, value in (("DETAIL", diag.message_detail), ("HINT", diag.message_hint), ("CONTEXT", diag.context)):
        if value:
            lines.append(f"{word}: " + value.replace("\n", "\n  "))
    return hide("\n".join(lines))


def describe(place: Place, error: psycopg.Error, statement: str = "") -> str:
    """The whole account of a failed statement: place, the line with a caret, the server's own words."""
    head = f"{place}: " + (f"in {statement}" if statement and not place.column else "")
    return f"{head.rstrip(': ')}:\n{excerpt(place)}\n" + server_words(error)


def hide(text: str) -> str:
    """The text with the literals behind PASSWORD starred, its length kept."""
    return _PASSWORD.sub(lambda match: match[1] + "*" * len(match[2]), text)
