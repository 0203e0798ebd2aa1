"""Blanks, comments and words of a file, without a parser.

Small, because every command needs it for the header of every file; the readers of SQL build on it.
"""

import re
from collections.abc import Sequence

BOM = b"\xef\xbb\xbf"

# A run of single bytes that can't be given back ("*+") keeps long files linear. CPython before 3.11.5 gets the same of a
# group wrong: groups are repeated the usual way, and where a file may bring millions, a thousand at a time.
_SPACE = re.compile(rb"[ \t\r\n\f\v]*+(?:--[^\r\n]*+[ \t\r\n\f\v]*+){0,1000}")
_MARK = re.compile(rb"/\*|\*/")
_CHUNK = 1 << 20  # bytes of a big file that are in memory in lower case at a time


def start_of(data: bytes) -> int:
    """The offset behind the BOM, if there is one."""
    return len(BOM) if data.startswith(BOM) else 0


def skip_blank(data: bytes, pos: int, stop: int) -> int:
    """The offset of the first byte that is neither space nor in a comment; a comment without an end is not skipped."""
    while True:
        match = _SPACE.match(data, pos, stop)
        pos = match.end() if match else pos
        if data.startswith(b"--", pos, stop):
            continue
        if not data.startswith(b"/*", pos, stop) or (end := comment_end(data, pos, stop)) < 0:
            return pos
        pos = end


def comment_end(data: bytes, pos: int, stop: int) -> int:
    """The offset behind the comment at `pos`, with those nested in it, or -1 if it has no end."""
    depth = 0
    for mark in _MARK.finditer(data, pos, stop):
        depth += 1 if mark[0] == b"/*" else -1
        if depth == 0:
            return mark.end()
    return -1


def leading_comments_end(data: bytes) -> int:
    """The byte offset of the first SQL token, after a BOM, blanks and comments."""
    return skip_blank(data, start_of(data), len(data))


def has_statement(data: bytes, pos: int | None = None) -> bool:
    """Whether the file holds anything besides a BOM, blanks, comments and semicolons.

    `pos` is leading_comments_end, where that is known.
    """
    pos = leading_comments_end(data) if pos is None else pos
    while data.startswith(b";", pos):
        pos = skip_blank(data, pos + 1, len(data))
    return pos < len(data)


def mentioned(data: bytes, words: Sequence[bytes]) -> list[bytes]:
    """Those of the (lower-case) words that occur in the data in any case, also as part of longer words."""
    if len(data) <= _CHUNK:
        lowered = data.lower()
        return [word for word in words if word in lowered]
    overlap = max(map(len, words)) - 1
    absent = list(words)
    for start in range(0, len(data), _CHUNK):
        lowered = data[start : start + _CHUNK + overlap].lower()
        absent = [word for word in absent if word not in lowered]
    return [word for word in words if word not in absent]


def folded(name: str) -> str:
    """A name in SQL as PostgreSQL keeps it."""
    return name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
