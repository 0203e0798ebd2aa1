"""Where in a file the server's error lies, and how it is shown."""

import re

import psycopg

from pgyoyo import sql
from pgyoyo.engine import encoding
from pgyoyo.engine.message import ALTERED, LOST, RESET, TAKEN, Message, Step
from pgyoyo.engine.partition_refusals import instead
from pgyoyo.engine.wire import Reply
from pgyoyo.errors import Place, StatementError
from pgyoyo.migrations.migration import File
from pgyoyo.sql.script import Statement
from pgyoyo.text import printable_line

_GAP = r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
# A literal in each of its forms, or what is left of it where the text was cut.
_LITERAL = r"(?:U&|[EBXN])?'(?:[^'\\]|''|\\.)*(?:'|\\?$)|\$(?P<tag{0}>\w*)\$.*?(?:\$(?P=tag{0})\$|$)|\$\w*$"
_WORD = r"(?:passw(?:or)?d|pwd)"
# A subscription's conninfo is hidden whole: where its password ends can't be known once quotes are doubled, escaped or cut.
_SECRET = re.compile(
    rf"(?P<named>{_WORD}[\"']?{_GAP}(?:=>|:=|=|,|:){_GAP}(?:\w+\s*\(\s*)*)(?!''[^'])(?:{_LITERAL.format(1)})"
    rf"|(?P<keyword>\b{_WORD}(?!'\s*[,)])(?:{_GAP}))(?:{_LITERAL.format(2)})"
    rf"|(?P<connection>\bconnection{_GAP})(?:{_LITERAL.format(3)})"
    rf"|(?P<pair>{_WORD}\s*=\s*)(?:''[^']+(?:''?|$)|\\'.*?(?:\\'|$)|[^\s'\"&;,()]+)"
    r"|(?P<url>\b[\w+]+://[^\s:@/'\"]*:)(?:[^\s'\"]*(?=@))",
    re.IGNORECASE | re.DOTALL,
)

# Where some statements are done in a session that code changed: no other session can go on behind them.
BY_HAND = "Run what is left of it by hand, in one session with what it needs"


def place_at(file: File, offset: int, *, exact: bool) -> Place:
    """The place of a byte offset in a file's SQL; `exact` when it is the very spot, not only the statement's begin."""
    data = file.data
    start = data.rfind(b"\n", 0, offset) + 1
    end = data.find(b"\n", offset)
    column = len(data[start:offset].decode(errors="replace")) + 1
    number = data.count(b"\n", 0, offset) + 1
    # The word PASSWORD may stand in an earlier line than what it is about.
    before = data[:start].decode(errors="replace")
    line = hide(before + data[start : end if end >= 0 else len(data)].decode(errors="replace"))[len(before) :]
    # A string in a Python file has margins of its own.
    return Place(file.path, file.line(number), column if exact else 0, line.rstrip("\r"), has_column=not file.lines)


def excerpt(place: Place) -> str:
    """The line with a caret below the column; a long line is cut around it, and password literals are hidden."""
    text = place.text.replace("\t", " ")
    before = printable_line(text[: max(place.column - 1, 0)])
    text = before + printable_line(text[max(place.column - 1, 0) :])
    column = len(before) + 1 if place.column else 0
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
    """The server's message, DETAIL, HINT, CONTEXT and SQLSTATE, unchanged but that further lines of each are indented."""
    diag = error.diag
    if diag.message_primary is None:
        return str(error).strip() or "the connection was lost"
    words = (
        (diag.severity or "ERROR", f"{diag.message_primary} (SQLSTATE {diag.sqlstate})"),
        ("DETAIL", diag.message_detail), ("HINT", diag.message_hint), ("CONTEXT", diag.context),
    )  # fmt: skip
    return hide("\n".join(f"{word}: " + value.replace("\n", "\n  ") for word, value in words if value))


def loss_words(error: psycopg.Error) -> str:
    """The words of an error that is not the server's: of a lost connection, or of an answer that the client can't read."""
    words = server_words(error)
    if isinstance(error, psycopg.OperationalError):
        return words
    return f"the server's answer could not be read: {words}"


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
    error = reply.error
    assert error is not None
    file, statement, script = sent.file, sent.statement, sql.parser.parse(sent.file.data)
    position = error.diag.statement_position
    offset, exact, left_open = None, False, ""
    # Of the statements behind the file, the one that failed: a syntax error there is found before the first one runs.
    past = reply.results - len(sent.before) - (len(statement.parts) if statement else len(script.statements))
    if position is not None and past < 0:
        inside = reply.before + int(position) - len(sent.head)
        if inside > len(sent.sql.decode()):
            # The server stumbled over what follows the file: the file ends too early, or leaves a quote open.
            offset, left_open = sql.parser.fault(file.data) or (0, "")
            exact = left_open.startswith("unterminated")
            offset = offset if exact else len(file.data.rstrip()) - 1
        elif inside > 0:
            exact = True
            offset = _within(file, statement.start, inside) if statement else sent.script.offset(inside)
    else:
        index = reply.results - len(sent.before)
        candidates = statement.parts if statement else script.statements
        if 0 <= index < len(candidates):
            statement = candidates[index]
            offset = statement.start
    if offset is None:
        ours = past < 0 or (past < len(sent.after) and sent.after[past] not in (*RESET, "COMMIT"))
        words = f"{file.path}: " + (_record_words(error) if ours else f"at its COMMIT:\n{server_words(error)}")
        is_own = ours and not any(text in words for text in (LOST, ALTERED, TAKEN))
        return StatementError(
            words, server_error=error, started=started, step=step, advice=_own_advice(error, file) if is_own else None
        )
    place = place_at(file, offset, exact=exact)
    name = statement.name if statement and not exact else ""
    # A quote that the file leaves open takes in what was sent behind it, and the server quotes all of that.
    words = describe(place, error, name).replace(sent.tail.replace("\n", "\n  "), "") + advice(error, file)
    words += instead(error)
    if exact and (slip := sql.slips.hint(place.text, place.column)):
        words += f"\n{slip[0].upper()}{slip[1:]}"
    if left_open and exact:  # the server's words are about what was sent behind the file
        words = f"{place}:\n{excerpt(place)}\nERROR: {left_open} (SQLSTATE {error.sqlstate})"
    return StatementError(words, place=place, statement=name, server_error=error, started=started, step=step)


def _own_advice(error: psycopg.Error, file: File) -> str:
    """What to do where a statement of ours failed beside the file's."""
    if sqlstate(error) == "25006" and re.search(rb"(?i)\bread\s+only\b|read_only", file.data):
        return "Its transaction is READ ONLY, so nothing can be recorded in it: take that out of the file"
    return "Correct that table"


def read_otherwise(file: File, statement: Statement, setting: str, *, started: bool = False) -> StatementError:
    """The error of a file with a statement behind which the server reads text otherwise, as the file doesn't show."""
    place = place_at(file, statement.start, exact=False)
    what, instead = "a character that is not ASCII", ""
    if setting == "standard_conforming_strings":
        what, instead = "a backslash", ", or write E'…' strings"
    words = (
        f"{place}: in {statement.name}:\n{excerpt(place)}\nIt changes {setting} in code, so what {what} means behind it "
        f"can't be known from the file; set it in the file{instead}"
    )
    advice = BY_HAND if started else None
    return StatementError(words, place=place, statement=statement.name, started=started, advice=advice)


def unfit(step: Step, server: str) -> StatementError | None:
    """The error of a file with a character that the database's encoding doesn't have; `server` is Python's name of it."""
    place = encoding.unfit(step.script.sql.decode(), server)
    if place is None:
        return None
    offset = step.script.offset(place + 1)
    where = place_at(step.file, offset, exact=True)
    character = step.script.sql.decode()[place]
    words = (
        f'{where}:\n{excerpt(where)}\nThe database\'s encoding does not have the character "{character}" '
        f"(U+{ord(character):04X}); write it in another way, or use a database with ENCODING 'UTF8'"
    )
    return StatementError(words, place=where)


def advice(error: psycopg.Error, file: File) -> str:
    """The header line that would have let the statement run, on a line of its own, or ""."""
    match sqlstate(error):
        case "25001" if "PL/" in (error.diag.context or ""):  # PL/pgSQL, in any language of the server
            return "\nCode can't run it: write it as a statement of its own, " + (
                'in a file with the header line "-- transactional: false"'
                if file.header.transactional
                else "outside of it"
            )
        case "25001" | "2D000" if file.header.transactional:
            return "\nIt can't run in a transaction: add the line \"-- transactional: false\" to the file's header"
        case "57014" if "user request" not in (error.diag.message_primary or ""):
            return (
                '\nIt ran into statement_timeout: the header line "-- statement-timeout: 10min" gives this file longer'
            )
        case _:
            return ""


def record_error(error: psycopg.Error, path: str) -> StatementError:
    """The error of a record that could not be written when all statements of the file at `path` were done."""
    return StatementError(f"{path}: {_record_words(error)}", server_error=error, started=True)


def _record_words(error: psycopg.Error) -> str:
    """What went wrong in a record: what it found itself, or the server's own words."""
    message = error.diag.message_primary or ""
    for words in (LOST, ALTERED, TAKEN):
        if words in message:
            return words
    if sqlstate(error) in ("42P01", "3F000"):
        return f"{ALTERED}:\n{server_words(error)}"
    return f"while it was recorded in the ledger:\n{server_words(error)}"


def sqlstate(error: Exception | None) -> str:
    """The SQLSTATE of the server's error, "" without one."""
    return getattr(error, "sqlstate", None) or ""


def next_step(error: StatementError) -> str:
    """What to do about a failed statement before the next run; "" where running again is all."""
    if error.advice is not None:
        return error.advice
    match sqlstate(error.server_error):
        case "55P03" | "40P01":
            return ""
        case "42501":
            return "Grant the privilege"
        case "25001" | "2D000" if "\nIt can't run in a transaction: add" in error.words:
            return "Add the line to the header"
        case "57014" if "user request" in str(error.server_error):
            return ""
        case "57014":
            return "Give it longer"
        case "25006":
            return "Connect to a server that can write"
        case "0A000" | "58P01" if error.statement.startswith("CREATE EXTENSION"):
            return "Install it on the server, or take it out of the file"
        case state if state[:2] in ("53", "57", "58", "08", "XX"):
            return "Look at the server's log"
        case _:
            return "Fix the file"


def _within(file: File, start: int, position: int) -> int:
    """The byte offset of a character position (from 1) in a statement that begins at byte `start`."""
    return start + len(file.data[start:].decode(errors="replace")[: position - 1].encode())
