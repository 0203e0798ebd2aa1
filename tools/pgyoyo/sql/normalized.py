"""A statement as it may be kept in git: no comments, parameters in place of its values, lists of any length alike."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import postgast
from postgast import PgQueryError
from postgast import pg_query_pb2 as pb

from pgyoyo.sql import tree
from pgyoyo.sql.grouping import Key, alike
from pgyoyo.sql.values import Value, values

_CONSTANTS = frozenset((
    pb.SCONST, pb.USCONST, pb.BCONST, pb.XCONST, pb.ICONST, pb.FCONST, pb.TRUE_P, pb.FALSE_P,
))  # fmt: skip
_MINUS = ord("-")
# What may follow an interval, and belongs to its type.
_FIELDS = frozenset(("year", "month", "day", "hour", "minute", "second", "to"))
_ANY_OF = [[word, "(", ")"] for word in ("any", "all", "some")]
_EMPTY = re.compile(r"[ \t\r]+(?=\n)|\n[ \t\r]*(?=\n)")  # ends of lines, and lines, without a word
_QUERIES = frozenset(("select", "with", "values", "table"))


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word with the blanks before it; `parameter` says which one stands there, between `before` and `after`."""

    blanks: str
    text: str
    kind: int
    parameter: Key | None = None
    before: str = ""
    after: str = ""

    @property
    def word(self) -> str:
        """The same for what PostgreSQL takes for the same."""
        if self.parameter is not None:
            return f"{self.before}${self.after}".lower()
        return self.text if self.text[:1] in "\"'" or self.kind in _CONSTANTS else self.text.lower()


def without_comments(text: str) -> str:
    """The statement without its comments, those that stand for the rest of a list included; raises PgQueryError."""
    data = text.encode()
    spans = [(token.start, token.end) for token in postgast.scan(text).tokens if token.token in tree.COMMENTS]
    for start, end in reversed(spans):
        # A comment parts words as a blank does.
        before, after = data[:start].rstrip(b" \t"), data[end:]
        data = before + (b"" if after[:1] in b"),;\r\n \t" else b" ") + after
    return data.decode().strip()


def normalized(text: str, *, keep_values: bool) -> str:
    """The statement with parameters in the place of its values, numbered as they come, so that a server can prepare it.

    Of the items of a list that differ in their values only, the first stays: of IN (1, 2, 3), of an array, of the rows of
    VALUES, of the WHENs of a CASE. pg_stat_statements writes `interval $1`, `extract($1 FROM x)` and GROUP BY f($2, x) for
    f($1, x), which no server takes. With `keep_values` only the last is done. Raises PgQueryError.
    """
    statement = tree.unwrap(postgast.parse(text).stmts[0].stmt)
    same = alike(statement)
    constants = _at_constants(text, values(statement))
    pieces = _pieces(text, constants, same, keep_values=keep_values)
    if not keep_values:
        pieces = _shortened(pieces)
    return _numbered(_extracting(pieces))


def shortened(text: str) -> str:
    """A statement that is too long to parse, with one item for each kind in its lists; for what keeps no values."""
    data, end, pieces = text.encode(), 0, list[_Piece]()
    for token in postgast.scan(text).tokens:
        word = data[token.start : token.end].decode()
        is_value = token.token in _CONSTANTS or token.token == pb.PARAM
        pieces.append(_Piece(data[end : token.start].decode(), word, token.token, word if is_value else None))
        end = token.end
    return "".join(piece.blanks + piece.text for piece in _shortened(pieces))


def words(text: str) -> tuple[str, ...]:
    """Equal for statements that differ in blanks, the case of words and the numbers of parameters; raises PgQueryError."""
    return tuple(piece.word for piece in _pieces(text, {}, {}, keep_values=True))


def _pieces(text: str, constants: Mapping[int, Value], same: Mapping[Key, Key], *, keep_values: bool) -> list[_Piece]:
    data, tokens = text.encode(), list(postgast.scan(text).tokens)
    pieces: list[_Piece] = []
    starts: list[int] = []
    end = place = 0
    while place < len(tokens):
        token, last = tokens[place], place
        blanks, start, key, value = (
            data[end : token.start].decode(),
            token.start,
            None,
            constants.get(token.start, Value()),
        )
        if token.token == pb.PARAM:
            key = same.get(data[start : token.end].decode(), data[start : token.end].decode())
        elif (
            start in constants and not keep_values and (end_of_value := _end_of_value(data, tokens, place)) is not None
        ):
            last, key = end_of_value, same.get(start, start)
        after = value.after
        if key is not None and value.typed_from is not None:
            while starts and starts[-1] >= value.typed_from:
                start, blanks = starts.pop(), pieces.pop().blanks
            type_name = data[start : token.start].decode().strip()
            fields_end = _end_of_fields(data, tokens, last) if type_name.lower() == "interval" else last
            fields = data[tokens[last].end : tokens[fields_end].end].decode()
            last, after = fields_end, f" AS {'nchar' if type_name in 'nN' else type_name}{fields})"
        word = data[token.start : tokens[last].end].decode()
        if key is not None and value.instead:
            word, key = value.instead, None
        pieces.append(_Piece(blanks, word, token.token, key, value.before if key is not None else "", after))
        starts.append(start)
        end, place = tokens[last].end, last + 1
    return pieces


def _at_constants(text: str, constants: Mapping[int, Value]) -> dict[int, Value]:
    """The values by where a constant begins; that of -(-5) stands at its first sign."""
    tokens = list(postgast.scan(text).tokens)
    result = {}
    for place, token in enumerate(tokens):
        if token.start in constants:
            constant, value = token, constants[token.start]
            if token.token == _MINUS and _end_of_value(text.encode(), tokens, place) is None:
                constant = next(ahead for ahead in tokens[place:] if ahead.token in _CONSTANTS)
                value = Value("CAST(", " AS integer)" if constant.token == pb.ICONST else " AS numeric)")
            result[constant.start] = value
    return result


def _end_of_value(data: bytes, tokens: Sequence[pb.ScanToken], place: int) -> int | None:
    """The last token of the constant that begins there; None for what is none, as the field in extract(year FROM x)."""
    while tokens[place].token == _MINUS:
        place += 1
    if tokens[place].token not in _CONSTANTS:
        return None
    escaped = data[tokens[place + 1].start : tokens[place + 1].end].lower() if place + 2 < len(tokens) else b""
    return place + 2 if tokens[place].token == pb.USCONST and escaped == b"uescape" else place


def _end_of_fields(data: bytes, tokens: Sequence[pb.ScanToken], place: int) -> int:
    """The last token of what follows an interval: DAY TO SECOND(3)."""
    words = [data[token.start : token.end].decode().lower() for token in tokens[place + 1 : place + 8]]
    count = 0
    while words[count : count + 1] and words[count] in _FIELDS:
        count += 1
    return place + count + (3 if count and words[count : count + 1] == ["("] else 0)


def _shortened(pieces: list[_Piece]) -> list[_Piece]:
    """Each list without the items that differ from one before in nothing but values."""
    for place in range(len(pieces) - 2, -1, -1):  # lists in lists first
        word, opening = pieces[place].word, pieces[place + 1].text
        if pieces[place].parameter is not None:
            continue
        if word in ("in", "array") and opening in "([" and not _is_query(pieces, place + 2):
            end = _closing(pieces, place + 1)
            items = _distinct(pieces[place + 2 : end])
            pieces[place + 2 : end] = items
            around = [piece.word for piece in (*pieces[place - 2 : place], *pieces[place + 4 : place + 5])]
            if len(items) == 1 and items[0].parameter is not None and around in _ANY_OF:
                # The column beside it gives the array its type.
                pieces[place : place + 4] = [replace(items[0], blanks=pieces[place].blanks, before="", after="")]
        elif word == "case":
            start, end, arms = _arms(pieces, place)
            pieces[start:end] = _once(arms)
        elif word == "values" and opening == "(":
            end = _closing(pieces, place + 1) + 1
            while end + 1 < len(pieces) and (pieces[end].text, pieces[end + 1].text) == (",", "("):
                end = _closing(pieces, end + 1) + 1
            pieces[place + 1 : end] = _distinct(pieces[place + 1 : end])
    return pieces


def _is_query(pieces: Sequence[_Piece], place: int) -> bool:
    while pieces[place].text == "(":
        place += 1
    return pieces[place].word in _QUERIES


def _closing(pieces: Sequence[_Piece], opening: int) -> int:
    depth = 0
    for place in range(opening, len(pieces)):
        depth += (pieces[place].text in ("(", "[")) - (pieces[place].text in (")", "]"))
        if not depth:
            return place
    return len(pieces)


def _distinct(pieces: Sequence[_Piece]) -> list[_Piece]:
    """The items between commas, each but once; the comma before an item goes with it."""
    items: list[list[_Piece]] = [[]]
    depth = 0
    for piece in pieces:
        depth += (piece.text in ("(", "[")) - (piece.text in (")", "]"))
        if piece.text == "," and not depth:
            items.append([])
        items[-1].append(piece)
    return _once(items)


def _arms(pieces: Sequence[_Piece], case: int) -> tuple[int, int, list[Sequence[_Piece]]]:
    """Where the WHENs of a CASE begin and end, and each of them."""
    starts: list[int] = []
    end, depth = case + 1, 0
    for place in range(case + 1, len(pieces)):
        word = pieces[place].word
        if word in ("case", "(", "["):
            depth += 1
        elif depth and word in ("end", ")", "]"):
            depth -= 1
        elif not depth and word == "when":
            starts.append(place)
        elif not depth and word in ("else", "end"):
            end = place
            break
    if not starts:  # the name of a column: SELECT 1 AS case
        return end, end, []
    return starts[0], end, [pieces[a:b] for a, b in pairwise([*starts, end])]


def _once(items: Iterable[Sequence[_Piece]]) -> list[_Piece]:
    """The items without those that differ from one before in nothing but values."""
    kept: dict[tuple[str, ...], Sequence[_Piece]] = {}
    for item in items:
        kept.setdefault(tuple(piece.word for piece in item if item[0] is not piece or piece.text != ","), item)
    return [piece for item in kept.values() for piece in item]


def _extracting(pieces: list[_Piece]) -> list[_Piece]:
    """extract($1 FROM x) as the function that it is."""
    for place, piece in enumerate(pieces[:-3]):
        value, after = pieces[place + 2 : place + 4]
        if piece.word == "extract" and value.parameter is not None and after.word == "from":
            pieces[place] = replace(piece, text="pg_catalog.extract")
            pieces[place + 3] = replace(after, text=",", blanks="")
    return pieces


def _numbered(pieces: Sequence[_Piece]) -> str:
    numbers: dict[Key, int] = {}
    texts = []
    for piece in pieces:
        key = piece.parameter
        text = piece.text if key is None else f"{piece.before}${numbers.setdefault(key, len(numbers) + 1)}{piece.after}"
        texts.append(_EMPTY.sub("", piece.blanks) + text)
    return "".join(texts)


__all__ = ["PgQueryError", "normalized", "shortened", "without_comments", "words"]
