"""SQL split into statements by PostgreSQL's own parser, and what of them must not be sent."""

import re
from collections.abc import Iterator, Sequence
from itertools import takewhile

from postgast.native import lib

from pgyoyo.sql import blocks, classify, psql_scanner
from pgyoyo.sql.lexer import start_of
from pgyoyo.sql.script import AUTOCOMMIT, Script, Statement, filed_offset, sent_offset

_CONTROL = frozenset(("begin", "commit", "rollback", "two-phase", "chain"))
# What would be an error, or mean something else, if a BEGIN … COMMIT came to stand around it.
_ONLY_INSIDE = AUTOCOMMIT | {"savepoint", "copy-out"}
_TRANSACTIONS_OWN = re.compile(
    r'(?i)SET (?:LOCAL\b|CONSTRAINTS\b|TRANSACTION\b|SESSION CHARACTERISTICS\b|(?:SESSION )?"?default_transaction_)'
)
_NEW_VALUE = re.compile(rb"(?i)\bALTER\s+TYPE\s[^;]*\bADD\s+VALUE\b")


def parse(data: bytes, *, transactional: bool = True, of_application: bool = False) -> Script:
    """The statements of a file and what to send for it; `problems` are what only psql could run.

    The file holds UTF-8 and no NUL. Where it is not `transactional`, each BEGIN … COMMIT in it is one statement. Behind the
    COPY … FROM STDIN `of_application` the next statement follows, as far as it can be read so, in place of data.
    """
    needs_reading = not of_application and psql_scanner.needs_reading(data)
    lines = psql_scanner.read(data, start_of(data)) if needs_reading else None
    sql, pieces = _text(data, lines)
    spans = _split(_without_escapes(sql, lines, pieces))
    parsed = spans is not None
    if spans is None:
        if lines is None:
            lines = psql_scanner.read(data, start_of(data))
            sql, pieces = _text(data, lines)
            spans = _split(_without_escapes(sql, lines, pieces)) if lines.blanks else None
            parsed = spans is not None
        if spans is None:
            spans = [(sent_offset(pieces, start), sent_offset(pieces, end)) for start, end in lines.statements]
    copies = lines.data if lines else {}
    statements = tuple(classify.statement(sql, start, end, pieces, copies) for start, end in spans)
    if not transactional:
        return Script(
            data, sql, blocks.folded(data, statements), None, (), tuple(lines.problems) if lines else (), parsed, pieces
        )
    wrapper = _wrapper(data, statements)
    # PostgreSQL accepts it only before the first query of the transaction, and the ledger's queries come first.
    inside = statements[statements.index(wrapper[0]) + 1 :] if wrapper else statements
    modes = tuple(takewhile(lambda statement: statement.name.startswith("SET TRANSACTION"), inside))
    moved = ((sent_offset(pieces, part.start), sent_offset(pieces, part.end)) for part in (*(wrapper or ()), *modes))
    sql = _blanked(sql, moved) if wrapper or modes else sql
    problems = tuple(lines.problems) if lines else ()
    moved_out = {*(wrapper or ()), *modes}
    kept = tuple(statement for statement in statements if statement not in moved_out) if moved_out else statements
    return Script(data, sql, kept, wrapper, modes, problems, parsed, pieces)


def fault(data: bytes) -> tuple[int, str] | None:
    """Where the parser can't read a file, as a byte offset, and its words in one line; None where it can.

    No literal of the file stands in the words.
    """
    lines = psql_scanner.read(data, start_of(data)) if psql_scanner.needs_reading(data) else None
    sql, pieces = _text(data, lines)
    if _split(_without_escapes(sql, lines, pieces)) is not None:
        return None
    lines = lines or psql_scanner.read(data, start_of(data))
    sql, pieces = _text(data, lines)
    text = _without_escapes(sql, lines, pieces)
    result = lib.pg_query_split_with_parser(text)
    try:
        if not result.error:
            return None
        words, position = result.error.contents.message.decode(errors="replace"), result.error.contents.cursorpos
    finally:
        lib.pg_query_free_split_result(result)
    offset = len(text.decode(errors="replace")[: max(position - 1, 0)].encode())
    # What stands behind may be the rest of the file, or a password.
    shown = words if re.search(r' at or near "[\w.,;:()=*]+"$', words) else words.partition(" at or near ")[0]
    return filed_offset(pieces, min(offset, len(sql))), shown


def _wrapper(data: bytes, statements: Sequence[Statement]) -> tuple[Statement, Statement] | None:
    """The BEGIN and COMMIT around the whole file; or its only ones, where all that stands outside of them may as well run
    inside, as in old dumps: SET …; BEGIN; …; COMMIT; ANALYZE; A value that an enum gets is of use only behind the COMMIT.
    """
    if len(statements) > 1 and (statements[0].kind, statements[-1].kind) == ("begin", "commit"):
        return statements[0], statements[-1]
    control = [number for number, statement in enumerate(statements) if statement.kind in _CONTROL]
    if [statements[number].kind for number in control] != ["begin", "commit"]:
        return None
    begin, end = control
    outside = (*statements[:begin], *statements[end + 1 :])
    if statements[end + 1 :] and _NEW_VALUE.search(data, statements[begin].end, statements[end].start):
        return None
    if any(statement.kind in _ONLY_INSIDE or _TRANSACTIONS_OWN.match(statement.name) for statement in outside):
        return None
    return statements[begin], statements[end]


def defects(script: Script, *, transactional: bool) -> list[tuple[int, str]]:
    """What must not be sent, as (line, message)."""
    problems = list(script.problems)
    for statement, is_inside in ((part, bool(step.block)) for step in script.statements for part in step.parts):
        name, kind = statement.name, statement.kind
        if kind == "copy-out":
            what = f"{name} sends rows to a client, and a migration has none; select them into a table, or remove it"
        elif transactional and kind in _CONTROL:
            what = (
                f"{name} inside the file, which pgyoyo runs in one transaction of its own; remove it "
                "(one BEGIN … COMMIT is accepted, with nothing outside it that a transaction would refuse or change)"
            )
        elif transactional and kind in AUTOCOMMIT:
            what = f"{name} can't run in a transaction; add the line \"-- transactional: false\" to the file's header"
        elif is_inside and kind in AUTOCOMMIT:
            what = f"{name} can't run in a transaction; move it behind the COMMIT of its block"
        elif not transactional and not is_inside and (kind in _CONTROL or kind == "savepoint"):
            what = (
                f'{name} in a file with "transactional: false", where each statement is committed by itself; '
                "remove it, or write whole blocks of BEGIN; … COMMIT;, one after the other"
            )
        else:
            continue
        problems.append((statement.start, what))
    return [(script.line(offset), what) for offset, what in sorted(problems)]


def _text(data: bytes, lines: psql_scanner.Lines | None) -> tuple[bytes, tuple[tuple[int, int], ...]]:
    """What is sent of the file, and where in the file its pieces come from."""
    start = start_of(data)
    if lines is None or not (lines.gaps or lines.blanks):
        return data[start:], ((0, start),)
    view, sent, pieces, parts = memoryview(data), 0, [], []
    for gap_start, gap_end in (*lines.gaps, (len(data), len(data))):
        pieces.append((sent, start))
        parts.append(view[start:gap_start])
        sent, start = sent + gap_start - start, gap_end
    sql = b"".join(parts)
    return _blanked(sql, ((sent_offset(pieces, a), sent_offset(pieces, b)) for a, b in lines.blanks)), tuple(pieces)


def _blanked(sql: bytes, spans: Iterator[tuple[int, int]]) -> bytes:
    buffer = bytearray(sql)
    for start, end in spans:
        buffer[start:end] = b" " * (end - start)
    return bytes(buffer)


def _without_escapes(sql: bytes, lines: psql_scanner.Lines | None, pieces: tuple[tuple[int, int], ...]) -> bytes:
    """The text for the parser, which knows standard_conforming_strings only as on: letters in place of the escapes."""
    if not lines or not lines.escaped:
        return sql
    view = bytearray(sql)
    for start, end in ((sent_offset(pieces, a), sent_offset(pieces, b)) for a, b in lines.escaped):
        view[start:end] = re.sub(rb"\\([\x00-\x7f]?)", lambda escape: b"x" * len(escape[0]), view[start:end])
    return bytes(view)


def _split(sql: bytes) -> list[tuple[int, int]] | None:
    """The spans of the statements, or None if the parser can't read the text.

    Not postgast.split: it gives copies without their offsets, and a tree in Python would take a hundred times as long.
    """
    result = lib.pg_query_split_with_parser(sql)
    try:
        if result.error:
            return None
        statements = (result.stmts[i].contents for i in range(result.n_stmts))
        return [(part.stmt_location, part.stmt_location + part.stmt_len) for part in statements]
    finally:
        lib.pg_query_free_split_result(result)
