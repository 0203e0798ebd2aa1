"""Text, code and tables as Markdown, with nothing in them that Markdown takes for its own."""

import re
from collections.abc import Iterable, Sequence

_SPECIAL = re.compile(r"(?<!\w)_|_(?!\w)|[\\`*<>\[\]|~&$]")


def text(words: str) -> str:
    """Words on one line, the special characters escaped."""
    return _SPECIAL.sub(r"\\\g<0>", " ".join(words.split()))


def code(words: str) -> str:
    """The same as code. A bar would end a cell of a table, with or without backticks around it."""
    words = " ".join(words.split())
    if re.search(r"[`|\\]", words):
        return "<code>" + _SPECIAL.sub(lambda sign: f"&#{ord(sign[0])};", words) + "</code>"
    return f"`{words}`" if words else ""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown already; it ends with a line break."""
    lines = ("| " + " | ".join(row) + " |\n" for row in (header, *rows))
    return next(lines) + "|--" * len(header) + "|\n" + "".join(lines)
