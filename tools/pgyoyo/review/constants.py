"""The constants of a statement, each with the column that it is compared with, as far as its words tell."""

import re
from collections.abc import Collection, Iterable

from pgyoyo.sql import tree

SMALL_LIMIT = 20
MOST = 12  # for one column: more would thin out each of them

_LIMIT = re.compile(rb"(?i)(\blimit\s+|\bfetch\s+(?:first|next)\s+)(\d{1,18})\b")
_TOKEN = re.compile(
    r"""--[^\n]*|/\*.*?\*/|(?P<text>(?:\b[eE])?'(?:[^']|'')*')|(?P<quote>\$\w*\$)|(?P<quoted>"(?:[^"]|"")*")"""
    r"""|(?P<number>(?<![\w.])-?\d+(?:\.\d+)?(?![\w.]))|(?P<word>[^\W\d]\w*)|(?P<mark>;)""",
    re.DOTALL,
)
# What follows them is another comparison, or none.
_ENDS = frozenset((
    "and", "or", "where", "set", "on", "when", "then", "else", "values", "select", "from", "having", "returning", "limit",
    "offset", "order", "group", "if", "loop",
))  # fmt: skip


def constants(texts: Iterable[str], columns: Collection[str]) -> dict[str, list[str]]:
    """The constants in these pieces of SQL by the column (of those given, unquoted) that they stand beside; "" for the rest.

    In the bodies of functions and DO blocks too, which are read as SQL. Constants of LIMIT and OFFSET are left out.
    """
    result: dict[str, list[str]] = {}

    def note(column: str, values: Iterable[str]) -> None:
        for value in values:
            known = result.setdefault(column, [])
            if value not in known and len(known) < MOST:
                known.append(value)

    for text in texts:
        column, waiting, word = "", list[str](), ""
        for token in _TOKEN.finditer(text):
            if token["text"] or token["number"]:
                if word in ("limit", "offset", "interval"):
                    continue
                value = token["number"] or token["text"].lstrip("eE")[1:-1].replace("''", "'")
                if column:
                    note(column, [value])
                else:
                    waiting.append(value)
            elif token["word"] or token["quoted"]:
                word = token["word"].lower() if token["word"] else token["quoted"][1:-1].replace('""', '"')
                if word in columns:
                    column = word
                    note(column, waiting)
                    waiting = []
                elif token["word"] and word in _ENDS:
                    note("", waiting)
                    column, waiting = "", []
            elif token["mark"]:
                note("", waiting)
                column, waiting = "", []
        note("", waiting)
    return result


def assigned(statement: str) -> dict[str, str]:
    """The constants that an UPDATE sets columns to, as texts; none for any other statement."""
    node = tree.parse(statement)
    if tree.kind(node) != "UpdateStmt" or node is None:
        return {}
    result: dict[str, str] = {}
    for target in map(tree.unwrap, node.target_list):
        constant = tree.unwrap(target.val)
        if tree.kind(constant) == "A_Const" and not constant.isnull:
            which = constant.WhichOneof("val")
            value = getattr(constant, which)
            # A zero is a message without a field.
            text = getattr(value, which)
            result[target.name] = str(text).lower() if which == "boolval" else str(text)
    return result


def with_small_limits(text: bytes) -> bytes:
    """The text with the number of each LIMIT and FETCH FIRST that is above 20 put down to that."""
    return _LIMIT.sub(
        lambda match: match[1] + (match[2] if int(match[2]) <= SMALL_LIMIT else b"%d" % SMALL_LIMIT), text
    )


def words(text: str) -> set[str]:
    """The words and quoted names of a text, which may name functions and views."""
    tokens = _TOKEN.finditer(text)
    return {
        token["word"].lower() if token["word"] else token["quoted"][1:-1].replace('""', '"')
        for token in tokens if token["word"] or token["quoted"]
    }  # fmt: skip
