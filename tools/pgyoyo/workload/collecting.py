"""What is kept of the statements that a source gives: those of an application that work on rows, each once."""

from collections.abc import Iterable
from dataclasses import dataclass

from pgyoyo.sql import parser, tree
from pgyoyo.sql.normalized import PgQueryError, without_comments, without_literals
from pgyoyo.sql.wrapped import unwrapped
from pgyoyo.workload.statements import KINDS, Query

_SYSTEM = frozenset(("pg_catalog", "information_schema"))
# What is asked of a session by itself.
_SESSION = frozenset((
    "current_database", "current_schema", "current_schemas", "current_setting", "inet_server_addr", "now", "set_config",
    "txid_current", "version",
))  # fmt: skip
_LEDGER = ("_yoyo_", "yoyo_lock", "_pgyoyo_")  # how the names of its tables begin


@dataclass(frozen=True, slots=True)
class Collected:
    """The statements, and how many texts PostgreSQL's parser could not read: such as one that a log has cut off."""

    queries: tuple[Query, ...]
    unreadable: int


def collected(queries: Iterable[Query], *, keep_literals: bool, ledger: str = "") -> Collected:
    """Each statement once, its calls summed; the first name of it stays.

    A text may hold several statements. Utility statements are left out, and those that only look at PostgreSQL's own
    tables or work on the ledger: pgyoyo's and those of tools. `ledger` is its name where yoyo's setting gives it another.
    """
    merged: dict[str, Query] = {}
    unreadable = 0
    for query in queries:
        try:
            texts = [_kept(text, keep_literals=keep_literals, ledger=ledger) for text in _parts(query.text)]
        except PgQueryError:
            unreadable += 1
            continue
        for text in filter(None, texts):
            known = merged.get(text, Query(text, query.name))
            calls = None if known.calls is None and query.calls is None else (known.calls or 0) + (query.calls or 0)
            merged[text] = Query(text, known.name or query.name, calls)
    return Collected(tuple(merged.values()), unreadable)


def _parts(text: str) -> list[str]:
    data = text.encode()
    return [data[part.start : part.end].decode() for part in parser.parse(data).statements]


def _kept(text: str, *, keep_literals: bool, ledger: str) -> str:
    """The statement as the file has it, "" where it is not the application's; raises PgQueryError."""
    if len(text) > tree.LONGEST:
        raise PgQueryError(f"longer than {tree.LONGEST} characters")
    text = unwrapped(without_comments(text))
    if not keep_literals:
        text = without_literals(text)
    node, error = tree.parse_or_error(text)
    if error:
        raise PgQueryError(error[1])
    return text if tree.kind(node) in KINDS and not _is_of_tools(node, ledger) else ""


def _is_of_tools(node: tree.Node, ledger: str) -> bool:
    tables = [part for part in tree.walk(node) if tree.kind(part) == "RangeVar"]
    if any(table.relname.startswith(_LEDGER) or table.relname == ledger for table in tables):
        return True
    if not tables:
        return all(map(_is_of_the_session, (part for part in tree.walk(node) if tree.kind(part) == "FuncCall")))
    return all(
        table.schemaname in _SYSTEM
        or table.relname.startswith("pg_stat_statements")
        or (not table.schemaname and table.relname.startswith("pg_"))
        for table in tables
    )


def _is_of_the_session(function: tree.Node) -> bool:
    names = [part.string.sval for part in function.funcname]
    return names[0] in _SYSTEM or (len(names) == 1 and (names[0] in _SESSION or names[0].startswith("pg_")))
