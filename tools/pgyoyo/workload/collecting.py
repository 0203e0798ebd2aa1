"""What is kept of the statements that a source gives: those of an application that work on rows, each once."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from pgyoyo.sql import parser, tree
from pgyoyo.sql.normalized import PgQueryError, normalized, shortened, without_comments, words
from pgyoyo.sql.outline import outline
from pgyoyo.sql.wrapped import unwrapped
from pgyoyo.units import number
from pgyoyo.workload.statements import KINDS, Query

_SYSTEM = frozenset(("pg_catalog", "information_schema"))
# What is asked of a session by itself.
_SESSION = frozenset((
    "current_database", "current_schema", "current_schemas", "current_setting", "inet_server_addr", "now", "set_config",
    "txid_current", "version",
))  # fmt: skip
_SHOWN = 5
_LEDGER = ("_yoyo_", "yoyo_lock", "_pgyoyo_")  # how the names of its tables begin


@dataclass(frozen=True, slots=True)
class Collected:
    """The statements; the beginnings, without values, of those that no file can hold; how many are of no interest.

    No file can hold what PostgreSQL's parser can't read, such as a statement that a log has cut off, and COPY … FROM without
    columns. Of no interest are utility statements, those that only look at PostgreSQL's own tables, and those on the ledger.
    """

    queries: tuple[Query, ...]
    left_out: tuple[str, ...] = ()
    others: int = 0


def collected(queries: Iterable[Query], *, keep_literals: bool, ledger: str = "") -> Collected:
    """Each statement once, its calls summed; a text may hold several.

    Statements that differ in blanks and the case of words only are one: the first name stays, with its text, else the
    shortest. `ledger` is the ledger's name where yoyo's setting gives it another.
    """
    merged: dict[tuple[str, ...], Query] = {}
    left_out: dict[str, None] = {}
    others = 0

    known: dict[tuple[object, ...], list[tuple[str, tuple[str, ...]]]] = {}

    def kept(text: str) -> list[tuple[str, tuple[str, ...]]]:
        key = (text,) if keep_literals else outline(text)
        if key not in known:
            texts = [_kept(part, keep_literals=keep_literals, ledger=ledger) for part in _parts(text)]
            known[key] = [(text, words(text) if text else ()) for text in texts]
        return known[key]

    for query in queries:
        try:
            texts = kept(query.text)
        except PgQueryError:
            left_out[_glimpse(query.text)] = None
            continue
        for text, key in texts:
            others += not text
            if text:
                merged[key] = _merged(merged.get(key), Query(text, query.name, query.calls))
    return Collected(tuple(merged.values()), tuple(left_out), others)


def notes(result: Collected) -> list[str]:
    """What was left out that an application sent, a few by their beginnings."""
    if not result.left_out:
        return []
    shown = result.left_out[:_SHOWN]
    more = f"  and {number(len(result.left_out) - _SHOWN, 'more')}" if result.left_out[_SHOWN:] else ""
    head = "left out, since no parser reads it whole, or COPY names no columns: "
    return [head + number(len(result.left_out), "statement"), *(f"  {text}" for text in shown), *filter(None, [more])]


def _merged(known: Query | None, query: Query) -> Query:
    if known is None:
        return query
    calls = None if known.calls is None and query.calls is None else (known.calls or 0) + (query.calls or 0)
    if not known.name:
        known = min(known, query, key=lambda query: (not query.name, len(query.text), query.text))
    return replace(known, calls=calls)


def _parts(text: str) -> list[str]:
    data = text.encode()
    return [data[part.start : part.end].decode() for part in parser.parse(data).statements]


def _kept(text: str, *, keep_literals: bool, ledger: str) -> str:
    """The statement as the file has it, "" where it is of no interest; raises PgQueryError."""
    if len(text) > tree.LONGEST and not keep_literals:
        text = shortened(text)
    if len(text) > tree.LONGEST:
        raise PgQueryError(f"longer than {tree.LONGEST} characters")
    text = without_comments(text)
    _parsed(text)  # too deep for what is below, perhaps
    text = unwrapped(text)
    node = _parsed(text)
    if tree.kind(node) == "CopyStmt" and node.is_from:
        raise PgQueryError("no list of columns")
    if tree.kind(node) not in KINDS or _is_of_tools(node, ledger):
        return ""
    text = normalized(text, keep_values=keep_literals)
    _parsed(text)
    return text


def _parsed(text: str) -> tree.Node:
    node, error = tree.parse_or_error(text)
    if error:
        raise PgQueryError(error[1])
    return node


def _glimpse(text: str) -> str:
    """The beginning of a statement up to the first value that it may hold."""
    words = re.split(r"['$\d]|--|/\*", " ".join(text[:300].split()), maxsplit=1)
    return words[0][:60].rstrip() + " …"


def _is_of_tools(node: tree.Node, ledger: str) -> bool:
    parts = list(tree.walk(node))
    ctes = {part.ctename for part in parts if tree.kind(part) == "CommonTableExpr"}
    tables = [part for part in parts if tree.kind(part) == "RangeVar" and (part.schemaname or part.relname not in ctes)]
    if any(table.relname.startswith(_LEDGER) or table.relname == ledger for table in tables):
        return True
    if not tables:
        return all(map(_is_of_the_session, (part for part in parts if tree.kind(part) == "FuncCall")))
    return all(
        table.schemaname in _SYSTEM
        or table.relname.startswith("pg_stat_statements")
        or (not table.schemaname and table.relname.startswith("pg_"))
        for table in tables
    )


def _is_of_the_session(function: tree.Node) -> bool:
    names = [part.string.sval for part in function.funcname]
    return names[0] in _SYSTEM or (len(names) == 1 and (names[0] in _SESSION or names[0].startswith("pg_")))
