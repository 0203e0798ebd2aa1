"""Text made safe to show: nothing that a terminal obeys, hides or puts in another order."""

import json
import os
import re
from collections.abc import Iterator

# Controls, soft hyphen and fillers, zero-width and bidirectional marks, separators that split lines, annotations, tags,
# variation selectors but for those of emoji, and lone surrogates, which stand for bytes that are not UTF-8.
_UNSAFE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff9-\ufffb\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# What is no fault of a text: blanks, line ends, a byte order mark at its start, and joiners inside other scripts and emoji.
_USUAL = re.compile("[\t\f\v]|\r(?=\n)|\\A\ufeff|(?<=[^\x00-\x7f])[\u200c\u200d](?=[^\x00-\x7f])")
# Selectors of the shape of an emoji, which may be a digit in a box, behind anything else.
_SHAPE = re.compile("(?<![^\x00-\x22\x24-\x29\x2b-\x2f\x3a-\x7f\ufe00-\ufe0f])[\ufe0e\ufe0f]")
# What CI runners obey in a log: ::word:: at the beginning of a line (GitHub), ##[word], ##vso[…] or ##teamcity[…] anywhere.
_COMMAND = re.compile(r"(?m)(^[^\S\n]*:(?=:)|#(?=#\w*\[))")
_RUNNERS = {"GITHUB_ACTIONS", "TF_BUILD", "TEAMCITY_VERSION"}


def hidden(text: str) -> Iterator[tuple[int, str]]:
    """The characters of a text that nobody sees, or that change how others are shown, each with its offset."""
    usual = {match.start() for match in _USUAL.finditer(text)}
    unsafe = [match for match in _UNSAFE.finditer(text) if match.start() not in usual]
    return iter(sorted((match.start(), match[0]) for match in (*unsafe, *_SHAPE.finditer(text))))


def printable(text: str) -> str:
    """The text with unsafe characters as escapes (\\x1b, \\u202e); line breaks stay, a tab is four spaces."""
    return _UNSAFE.sub(_escape, text.replace("\r\n", "\n").replace("\t", "    "))


def printable_line(text: str) -> str:
    """The text on one line, with unsafe characters, tabs and line breaks as escapes (\\n)."""
    return _UNSAFE.sub(_escape, text).replace("\n", "\\n")


def escaped_json(text: str) -> str:
    """JSON of the same value, with its unsafe characters as JSON's own escapes."""
    return _UNSAFE.sub(lambda match: json.dumps(match[0])[1:-1], text)


def for_log(text: str) -> str:
    """The printable text, with nothing in it that a runner of CI obeys."""
    return unobeyed(printable(text))


def unobeyed(text: str) -> str:
    """The text; under a runner of CI that reads its log for commands, as GitHub's does, with a blank inside of each."""
    return _COMMAND.sub(r"\1 ", text) if os.environ.keys() & _RUNNERS else text


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
