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
_RANGE = re.compile(
    r"""(?i)(?:"([^"]+)"|\b([^\W\d]\w*))\s*(?:[<>~]|!=|!~|\bnot\s|\bbetween\b|\bi?like\b|\bis\s+not\s+null\b)"""
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


def ranged(text: str, columns: Collection[str]) -> set[str]:
    """The columns (of those given, unquoted) that a piece of SQL compares with a range, a pattern or all but a value."""
    names = {match[1] or match[2].lower() for match in _RANGE.finditer(text)}
    return names & set(columns)


def listed(statement: str) -> dict[str, list[str]]:
    """The constants of a list of VALUES by the column that the statement compares with each of its columns."""
    node = tree.parse(statement)
    nodes = list(tree.walk(node)) if node is not None and "values" in statement.lower() else []
    lists: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for each in nodes:
        if tree.kind(each) == "RangeSubselect" and (rows := tree.unwrap(each.subquery).values_lists):
            for number, name in enumerate(each.alias.colnames):
                values = [tree.unwrap(tree.unwrap(row).items[number]) for row in rows]
                texts = [_text(value) for value in values if tree.kind(value) == "A_Const" and not value.isnull]
                lists[(each.alias.aliasname,), tree.unwrap(name).sval] = texts[:MOST]
    result: dict[str, list[str]] = {}
    for each in nodes:
        if tree.kind(each) == "A_Expr" and tree.name(each) == "=":
            sides = [tree.column(tree.unwrap(side)) for side in (each.lexpr, each.rexpr)]
            for side, opposite in zip(sides, reversed(sides), strict=True):
                if side and opposite and opposite in lists:
                    result[side[1]] = lists[opposite]
    return result


def _text(constant: tree.Node) -> str:
    which = constant.WhichOneof("val")
    value = getattr(constant, which)
    # A zero is a message without a field.
    text = getattr(value, which)
    return str(text).lower() if which == "boolval" else str(text)


def assigned(statement: str) -> dict[str, str]:
    """The constants that an UPDATE sets columns to, as texts; none for any other statement."""
    node = tree.parse(statement)
    if tree.kind(node) != "UpdateStmt" or node is None:
        return {}
    result: dict[str, str] = {}
    for target in map(tree.unwrap, node.target_list):
        constant = tree.unwrap(target.val)
        if tree.kind(constant) == "A_Const" and not constant.isnull:
            result[target.name] = _text(constant)
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
