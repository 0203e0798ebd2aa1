"""The statement on rows in one that hands it on: DECLARE, PREPARE, EXPLAIN, COPY, CREATE TABLE AS, SELECT INTO."""

from collections.abc import Sequence

import postgast

from pgyoyo.sql import tree

_STARTS = frozenset(
    ("select", "with", "values", "table", "insert", "update", "delete", "merge", "declare", "create", "execute")
)
_MODIFIERS = frozenset(("temporary", "temp", "local", "global", "unlogged", "table"))


def unwrapped(text: str) -> str:
    """The statement within, else the text itself; for COPY of a table the SELECT or INSERT that does the same.

    COPY … FROM without a list of columns stays: which it fills, the table decides. Raises PgQueryError.
    """
    node = tree.unwrap(postgast.parse(text).stmts[0].stmt)
    match tree.kind(node):
        case "DeclareCursorStmt":
            inner = _Words(text).after("for")
        case "PrepareStmt":
            inner = _Words(text).after("as")
        case "ExplainStmt":
            inner = _explained(_Words(text))
        case "CopyStmt" if node.HasField("query"):
            inner = _Words(text).in_parentheses(1)
        case "CopyStmt" if node.relation.relname:
            return _copied(node, text)
        case "CreateTableAsStmt" if tree.kind(tree.unwrap(node.query)) != "ExecuteStmt":
            inner = _Words(text).after("as", but_last=_data_clause(_Words(text).words))
        case "SelectStmt" if node.HasField("into_clause"):
            return _without_into(_Words(text))
        case _:
            return text
    return unwrapped(inner) if inner else text


class _Words:
    """The words of a statement, without its comments, with their places in it."""

    def __init__(self, text: str) -> None:
        self._data = text.encode()
        self.tokens = tree.tokens(text)
        self.words = [self._data[token.start : token.end].decode().lower() for token in self.tokens]

    def text(self, first: int, last: int) -> str:
        """From one word up to before another, each by its number."""
        part = self.tokens[first:last]
        return self._data[part[0].start : part[-1].end].decode() if part else ""

    def after(self, word: str, *, but_last: int = 0) -> str:
        """What follows the first such word outside of parentheses."""
        depth = 0
        for place, here in enumerate(self.words):
            depth += (here == "(") - (here == ")")
            if here == word and not depth:
                return self.text(place + 1, len(self.words) - but_last)
        return ""

    def end_of(self, opening: int) -> int:
        """The number of the parenthesis that closes."""
        depth = 0
        for place, here in enumerate(self.words[opening:], opening):
            depth += (here == "(") - (here == ")")
            if not depth:
                return place
        return len(self.words)

    def in_parentheses(self, opening: int) -> str:
        return self.text(opening + 1, self.end_of(opening))


def _explained(words: _Words) -> str:
    place = 1
    if words.words[1] == "(" and words.words[2] not in {*_STARTS, "("}:
        place = words.end_of(1) + 1
    while words.words[place] in ("analyze", "analyse", "verbose"):
        place += 1
    return words.text(place, len(words.words))


def _copied(node: tree.Node, text: str) -> str:
    """COPY of a table, as the statement that does the same with its rows."""
    words = _Words(text)
    place = 2 if words.words[1] == "binary" else 1
    end = place + 1
    while words.words[end] == ".":
        end += 2
    table = words.text(place, end)
    columns = words.in_parentheses(end) if words.words[end] == "(" else ""
    if not node.is_from:
        return f"SELECT {columns or '*'} FROM {table}"  # noqa: S608 - pieces of a statement, and nothing runs it
    if not columns:
        return text
    parameters = ", ".join(f"${number}" for number in range(1, len(node.attlist) + 1))
    return f"INSERT INTO {table} ({columns}) VALUES ({parameters})"  # noqa: S608 - as above


def _data_clause(words: Sequence[str]) -> int:
    """How many words WITH [NO] DATA has at the end."""
    if words[-1] != "data":
        return 0
    return 3 if list(words[-3:-1]) == ["with", "no"] else 2 if words[-2] == "with" else 0


def _without_into(words: _Words) -> str:
    depth = 0
    for place, here in enumerate(words.words):
        depth += (here == "(") - (here == ")")
        if here == "into" and not depth and words.words[place - 1] != "as":
            end = place + 1
            while words.words[end] in _MODIFIERS:
                end += 1
            end += 1
            while words.words[end : end + 1] == ["."]:
                end += 2
            return f"{words.text(0, place)} {words.text(end, len(words.words))}".rstrip()
    return words.text(0, len(words.words))
