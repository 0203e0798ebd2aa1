"""Text made safe to show: nothing that a terminal obeys, hides or puts in another order."""

import re
from collections.abc import Iterator

# Controls, soft hyphen and fillers, zero-width and bidirectional marks, separators that split lines, annotations, tags,
# and lone surrogates, which stand for bytes that are not UTF-8.
_UNSAFE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# What is no fault of a text: blanks, line ends, a byte order mark at its start, and joiners inside other scripts and emoji.
_USUAL = re.compile("[\t\f\v]|\r(?=\n)|\\A\ufeff|(?<=[^\x00-\x7f])[\u200c\u200d](?=[^\x00-\x7f])")


def hidden(text: str) -> Iterator[tuple[int, str]]:
    """The characters of a text that nobody sees, or that change how others are shown, each with its offset."""
    usual = {match.start() for match in _USUAL.finditer(text)}
    return ((match.start(), match[0]) for match in _UNSAFE.finditer(text) if match.start() not in usual)


def printable(text: str) -> str:
    """The text with unsafe characters as escapes (\\x1b, \\u202e); line breaks stay, a tab is four spaces."""
    return _UNSAFE.sub(_escape, text.replace("\r\n", "\n").replace("\t", "    "))


def printable_line(text: str) -> str:
    """The text on one line, with unsafe characters, tabs and line breaks as escapes (\\n)."""
    return _UNSAFE.sub(_escape, text).replace("\n", "\\n")


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
