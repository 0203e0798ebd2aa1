"""Read a file the way psql does: where its commands, the data of its COPYs and the ends of its statements are.

The rules are psql's (psqlscan.l and copy.c of PostgreSQL 18); nothing here knows SQL beyond quotes and blocks.
Offsets count bytes. Nothing is decoded, and no data is copied.
"""

import re
from dataclasses import dataclass, field

from pgyoyo.sql.lexer import comment_end, mentioned, skip_blank

# A byte above 127 is a letter, as in scan.l. Every text fits a pattern in one way only, and runs of single bytes are not
# given back ("++"), so that long files stay linear; lexer.py says why groups are repeated otherwise.
NAME = r"[A-Za-z_\x80-\xff][\w$\x80-\xff]*+"
BLANK = r"(?:[ \t\r\n\f\v]|--[^\r\n]*+|/\*[^*]*+(?:\*(?!/)[^*]*+)*\*/)"
_TAG = r"(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*+)?\$"
_PLAIN = rf"""[^'"$\\;()/\-A-Za-z_\x80-\xff]++|"[^"]*+"|--[^\r\n]*+|-(?!-)|/(?!\*)|\$(?!{_TAG})"""
_SPECIAL = rf"""(?P<mark>[;()\\])|(?P<string>[eE]')|(?P<dollar>\${_TAG})|(?P<comment>/\*)|(?P<quote>['"])"""
_BLOCK = r"(?i:begin|case|end)(?![\w$\x80-\xff])"
QUOTED = r'(?:"[^"]*+")+'  # a doubled quote is part of the name
_PART = rf"(?:{QUOTED}|{NAME})"


def pattern(text: str) -> re.Pattern[bytes]:
    """The text as a pattern over bytes."""
    return re.compile(text.encode("latin-1"))


def _tokens(*, blocks: bool, escapes: bool) -> re.Pattern[bytes]:
    """The pattern of a token; with `blocks` those words are tokens, with `escapes` a backslash escapes in every string."""
    block = rf"(?P<block>{_BLOCK})|" if blocks else ""
    name = rf"(?![eE]'{'|' + _BLOCK if blocks else ''}){NAME}"
    plain = _PLAIN if escapes else rf"'[^']*+'|{_PLAIN}"
    special = _SPECIAL.replace("[eE]'", "[eE]?'") if escapes else _SPECIAL
    return pattern(rf"{block}(?P<plain>(?:{plain}|{name}){{1,1000}})|{special}")


# By whether standard_conforming_strings is off.
_TOKEN = {escapes: _tokens(blocks=False, escapes=escapes) for escapes in (False, True)}
_ROUTINE_TOKEN = {escapes: _tokens(blocks=True, escapes=escapes) for escapes in (False, True)}
# In CREATE FUNCTION, BEGIN ATOMIC … END and the CASE … END inside hold semicolons of their own.
_ROUTINE = pattern(rf"(?i:create{BLANK}+(?:or{BLANK}+replace{BLANK}+)?(?:function|procedure))(?![\w$\x80-\xff])")
# The rest of an E'' string up to a quote that may be its end; a string on a later line continues it.
_LINE_BREAK = r"[ \t\f\v]*+(?:--[^\r\n]*+)?[\r\n](?:[ \t\f\v\r\n]*+--[^\r\n]*+[\r\n])*[ \t\f\v\r\n]*+"
_STRING = pattern(rf"[^'\\]*+(?:(?:\\[\s\S]|''|'{_LINE_BREAK}')[^'\\]*+){{0,1000}}")
# gram.y takes STDOUT for STDIN here, and the reverse (copy_file_name).
COPY_IN = pattern(
    rf"(?i:copy){BLANK}*(?i:binary{BLANK}+)?{_PART}(?:{BLANK}*\.{BLANK}*{_PART})*{BLANK}*"
    rf'(?:\((?:[^()"]++|"[^"]*+")*\){BLANK}*)?(?i:from{BLANK}+std(?:in|out))(?![\w$\x80-\xff])'
)
_CLIENT = pattern(r"(?i)std(?:in|out)")
_COPY_COMMAND = pattern(r"(?i)\\copy\b[^\n]*\bfrom\s+p?stdin\b")
_RESTRICT = pattern(r"\\(?:un)?restrict[ \t]+[^\s\\]+[ \t\r]*")
_STRINGS = b"standard_conforming_strings"
# Statements that change it. A value that is none is an error of the server's, and psql knows only what the server tells it.
_SET_STRINGS = pattern(
    rf"""(?i)(?:set{BLANK}+(?:(?:session|local){BLANK}+)?"?standard_conforming_strings"?{BLANK}*(?:={BLANK}*|to{BLANK}+)"""
    rf"""|select{BLANK}+(?:pg_catalog\.)?set_config\({BLANK}*'standard_conforming_strings'{BLANK}*,{BLANK}*)'?(?P<value>\w+)"""
)
_RESET_STRINGS = pattern(rf'(?i)(?:reset{BLANK}+(?:all\b|"?standard_conforming_strings)|discard{BLANK}+all\b)')
_SAVEPOINT = pattern(
    rf"(?i)(?:(?P<back>(?:rollback|abort){BLANK}+(?:(?:work|transaction){BLANK}+)?to{BLANK}+(?:savepoint{BLANK}+)?)"
    rf"|savepoint{BLANK}+)(?P<name>{_PART})"
)
_OFF = frozenset((b"off", b"of", b"false", b"fals", b"fal", b"fa", b"f", b"no", b"n", b"0"))
_WORD = pattern(r"\\(?:[A-Za-z0-9_]+|[!-~])?")


@dataclass(slots=True)
class Lines:
    """What psql sees in one file, as spans: `data` by the offset of its COPY; `problems` are (offset, message).

    `escaped` are the strings without an E in which a backslash escapes, since standard_conforming_strings is off.
    """

    statements: list[tuple[int, int]] = field(default_factory=list)
    blanks: list[tuple[int, int]] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    data: dict[int, tuple[int, int]] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)
    escaped: list[tuple[int, int]] = field(default_factory=list)


def needs_reading(data: bytes) -> bool:
    """Whether the file may hold the data of a COPY, or a psql command at the start of a line."""
    return (
        b"\n\\" in data
        or data.startswith((b"\\", b"\xef\xbb\xbf\\"))
        or _CLIENT.search(data) is not None
        or (b"\\" in data and bool(mentioned(data, (_STRINGS,))))
    )


def read(data: bytes, start: int) -> Lines:
    """The lines of the file from `start`: what to send, what to leave out (gaps), what to blank, what is wrong.

    A COPY's data begins on the next line. The rest of the line is read after the data, so a text that continues behind
    them is seen as psql sees it; only a quote or comment that is open across the data is refused.
    """
    lines = Lines()
    pos, stop, resume = start, len(data), -1
    first, depth, blocks, strings, token = -1, 0, 0, Strings(), _TOKEN[False]
    while True:
        if first < 0:
            pos = skip_blank(data, pos, stop)
        if pos >= stop:
            if resume < 0:
                break
            lines.gaps.append((stop, resume))
            pos, stop, resume = resume, len(data), -1
            continue
        if first < 0 and data[pos] not in b";\\":
            first, depth, blocks = pos, 0, 0
            token = (_ROUTINE_TOKEN if _ROUTINE.match(data, pos, stop) else _TOKEN)[strings.escapes]
        match = token.match(data, pos, stop)
        assert match is not None, pos
        begin, pos, kind = pos, match.end(), match.lastgroup
        if kind == "block":
            word = match[0].lower()
            if depth == 0 and (blocks or word == b"begin"):
                blocks += -1 if word == b"end" else 1
        elif match[0] == b"(":
            depth += 1
        elif match[0] == b")":
            depth = max(0, depth - 1)
        elif match[0] == b"\\":
            pos = _command(data, begin, stop, lines)
        elif match[0] == b";" and first >= 0 and depth == blocks == 0:
            lines.statements.append((first, begin))
            strings.follow(data, first, begin)
            if COPY_IN.match(data, first, begin):
                line_end = stop if resume >= 0 else data.find(b"\n", begin) + 1 or stop
                lines.data[first], after = _copy_data(data, max(resume, line_end), lines)
                stop, resume = line_end, after
            first = -1
        elif kind in ("string", "dollar", "comment", "quote"):
            pos = _quote_end(data, begin, pos, stop, kind)
            if data.startswith(b"'", begin) and kind == "string" and b"\\" in data[begin:pos]:
                lines.escaped.append((begin, pos))
            if pos < 0:
                pos = stop
                if resume >= 0:
                    lines.problems.append((begin, "this is still open where the data of COPY begins; close it before"))
    if first >= 0:
        lines.statements.append((first, stop))
    return lines


@dataclass(slots=True)
class Strings:
    """Whether a backslash escapes in strings without an E: standard_conforming_strings is off, as far as a file shows."""

    escapes: bool = False
    _saved: dict[bytes, bool] = field(default_factory=dict)

    def follow(self, data: bytes, start: int, end: int) -> None:
        """Take note of a statement."""
        if match := _SET_STRINGS.match(data, start, end):
            self.escapes = match["value"].lower() in _OFF
        elif _RESET_STRINGS.match(data, start, end):
            self.escapes = False
        elif match := _SAVEPOINT.match(data, start, end):
            if match["back"]:
                self.escapes = self._saved.get(match["name"].lower(), self.escapes)
            else:
                self._saved[match["name"].lower()] = self.escapes


def _quote_end(data: bytes, begin: int, pos: int, stop: int, kind: str) -> int:
    """The offset behind a quote or comment whose opening mark is begin..pos, or -1 if it has no end."""
    if kind == "string":
        while (match := _STRING.match(data, pos, stop)) and match.end() > pos:
            pos = match.end()
        return pos + 1 if data.startswith(b"'", pos, stop) else -1
    if kind == "dollar":
        end = data.find(data[begin:pos], pos, stop)
        return end + pos - begin if end >= 0 else -1
    return comment_end(data, begin, stop) if kind == "comment" else -1


def _command(data: bytes, pos: int, stop: int, lines: Lines) -> int:
    """Note the psql command at `pos`; the offset where SQL continues."""
    line_end = data.find(b"\n", pos, stop)
    line_end = line_end if line_end >= 0 else stop
    if not _RESTRICT.fullmatch(data, pos, line_end):
        match = _WORD.match(data, pos, line_end)
        word = match[0].decode() if match else "\\"
        if word == "\\.":
            what = "\\. ends the data of a COPY … FROM stdin, and none stands before it; remove it"
        else:
            what = f"{word} is a psql command; pgyoyo sends plain SQL: remove it or write it as SQL"
        lines.problems.append((pos, what))
        if word == "\\;":
            line_end = pos + 1
        elif _COPY_COMMAND.match(data, pos, line_end) and stop == len(data):
            _, after = _copy_data(data, min(line_end + 1, stop), lines)
            lines.gaps.append((line_end, after))
            lines.blanks.append((pos, line_end))
            return after
    lines.blanks.append((pos, line_end))
    return line_end


def _copy_data(data: bytes, pos: int, lines: Lines) -> tuple[tuple[int, int], int]:
    r"""The span of the data that begins at `pos`, and the offset behind its `\.` line (copy.c, handleCopyIn)."""
    end = pos if data.startswith(b"\\.", pos) else data.find(b"\n\\.", pos) + 1
    while end > 0:
        for mark in (b"\\.\n", b"\\.\r\n"):
            if data.startswith(mark, end):
                return (pos, end), end + len(mark)
        if len(data) - end < 4 and data[end:].rstrip() == b"\\.":
            lines.problems.append(
                (end, "psql takes a last \\. without a line break for data; add a line break after it")
            )
            return (pos, end), len(data)
        end = data.find(b"\n\\.", end) + 1
    return (pos, len(data)), len(data)
