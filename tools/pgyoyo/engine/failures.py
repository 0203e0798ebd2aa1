"""Where in a file the server's error lies, and how it is shown."""

import re
from pathlib import Path

import psycopg

from pgyoyo.engine.message import Message
from pgyoyo.engine.wire import Reply
from pgyoyo.errors import Place, StatementError
from pgyoyo.migrations.migration import File

_GAP = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
# A literal in each of its forms, or what is left of it where the text was cut.
_LITERAL = r"(?:U&|[EBXN])?'(?:[^'\\]|''|\\.)*(?:'|$)|\$(?P<tag{0}>\w*)\$.*?(?:\$(?P=tag{0})\$|$)|\$\w*$"
_WORD = r"(?:passw(?:or)?d|pwd)"
# A subscription's conninfo is hidden whole: where its password ends can't be told once quotes are doubled, escaped or cut.
_SECRET = re.compile(
    rf"(?P<named>{_WORD}[\"']?{_GAP}(?:=>|:=|=|,|:){_GAP}(?:\w+\s*\(\s*)*)(?!''[^'])(?:{_LITERAL.format(1)})"
    rf"|(?P<keyword>\b{_WORD}(?!'\s*[,)])(?:{_GAP}))(?:{_LITERAL.format(2)})"
    rf"|(?P<connection>\bconnection{_GAP})(?:{_LITERAL.format(3)})"
    rf"|(?P<pair>{_WORD}\s*=\s*)(?:''[^']+(?:''?|$)|\\'.*?(?:\\'|$)|[^\s'\"&;,()]+)"
    r"|(?P<url>\b[\w+]+://[^\s:@/'\"]*:)(?:[^\s'\"]*(?=@))",
    re.IGNORECASE | re.DOTALL,
)


def place_at(path: Path, data: bytes, offset: int, *, exact: bool) -> Place:
    """The place of a byte offset; `exact` when it is the very spot, not only the statement's begin."""
    start = data.rfind(b"\n", 0, offset) + 1
    end = data.find(b"\n", offset)
    column = len(data[start:offset].decode(errors="replace")) + 1
    number = data.count(b"\n", 0, offset) + 1
    # The word PASSWORD may stand in an earlier line than what it is about.
    before = data[:start].decode(errors="replace")
    line = hide(before + data[start : end if end >= 0 else len(data)].decode(errors="replace"))[len(before) :]
    return Place(path, number, column if exact else 0, line.rstrip("\r"))


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
    """The text with each password in it starred, its length and its lines kept: what stands behind PASSWORD, in a conninfo,
    a URL, or a subscription's CONNECTION."""

    def starred(match: re.Match[str]) -> str:
        before: str = next(filter(None, (match[name] for name in ("named", "keyword", "connection", "pair", "url"))))
        return before + re.sub(r"[^\n]", "*", match[0][len(before) :])

    return _SECRET.sub(starred, text)


def statement_error(sent: Message, reply: Reply, *, started: bool = False, step: int = 0) -> StatementError:
    """The error of a failed message: where in the file it lies, or that it lies in what was sent around the file.

    Run-time errors carry no position; the number of results received then tells the statement.
    """
    from pgyoyo.sql import parser  # only a file that failed needs it, and it takes 0.1 s to load

    error = reply.error
    assert error is not None
    file, statement, script = sent.file, sent.statement, parser.parse(sent.file.data)
    position = error.diag.statement_position
    offset, exact = None, False
    if position is not None:
        inside = int(position) - len(sent.head)
        if inside > len(sent.sql.decode()):
            # The server stumbled over what follows the file: the file ends too early.
            offset = len(file.data.rstrip()) - 1
        elif inside > 0:
            exact = True
            offset = _within(file, statement.start, inside) if statement else script.offset(inside)
    else:
        index = reply.results - len(sent.before)
        candidates = (statement,) if statement else script.statements
        if 0 <= index < len(candidates):
            statement = candidates[index]
            offset = statement.start
    if offset is None:
        where = "at its COMMIT" if reply.results >= len(sent.before) else "while it was recorded in the ledger"
        words = f"{file.path}: {where}:\n{server_words(error)}"
        return StatementError(words, server_error=error, started=started, step=step)
    place = place_at(file.path, file.data, offset, exact=exact)
    name = statement.name if statement and not exact else ""
    # A quote that the file leaves open takes in what was sent behind it, and the server quotes all of that.
    words = describe(place, error, name).replace(sent.tail, "")
    return StatementError(words, place=place, statement=name, server_error=error, started=started, step=step)


def record_error(error: psycopg.Error, path: str) -> StatementError:
    """The error of a record that could not be written when all statements of the file at `path` were done."""
    words = f"{path}: while it was recorded in the ledger:\n{server_words(error)}"
    return StatementError(words, server_error=error, started=True)


def next_step(error: StatementError) -> str:
    """What to do about a failed statement before the next run; "" where running again is all."""
    if error.advice is not None:
        return error.advice
    match getattr(error.server_error, "sqlstate", None) or "":
        case "55P03" | "40P01":
            return ""
        case "42501":
            return "Grant the privilege"
        case "25006":
            return "Connect to a server that can write"
        case state if state[:2] in ("53", "57", "58", "08", "XX"):
            return "Look at the server's log"
        case _:
            return "Fix the file"


def _within(file: File, start: int, position: int) -> int:
    """The byte offset of a character position (from 1) in a statement that begins at byte `start`."""
    return start + len(file.data[start:].decode(errors="replace")[: position - 1].encode())
