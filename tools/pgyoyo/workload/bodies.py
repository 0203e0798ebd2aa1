"""The SQL within the body of a function, with the variables that it uses: what a server can be asked about. Pure."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from pgyoyo.sql import parser, tree
from pgyoyo.sql.normalized import PgQueryError
from pgyoyo.workload.writes import Write, of_node

_ROWTYPE = re.compile(r"(?P<name>\w+)(?P<between>\s+(?:CONSTANT\s+)?)(?P<type>[\w.\"]+)%ROWTYPE", re.IGNORECASE)
_WORD = re.compile(r"\w+")
_ASSIGNMENT = re.compile(r"[^:=]*?:?=(?P<value>.*)", re.DOTALL)
_CASE = "__Case__"
# The statements of PL/pgSQL whose parts are not run in any case.
_BRANCHES = frozenset((
    "PLpgSQL_stmt_if", "PLpgSQL_stmt_case", "PLpgSQL_stmt_loop", "PLpgSQL_stmt_while", "PLpgSQL_stmt_fori",
    "PLpgSQL_stmt_fors", "PLpgSQL_stmt_forc", "PLpgSQL_stmt_foreach_a", "PLpgSQL_stmt_dynfors", "PLpgSQL_exception_block",
))  # fmt: skip
_CONDITIONS = ("cond", "t_expr", "lower", "upper", "query", "expr")
_DYNAMIC = ("PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors")
_KNOWN_TO_TRIGGERS = {"tg_op": "text", "tg_name": "name", "tg_when": "text", "tg_level": "text", "tg_relid": "oid",
                      "tg_table_name": "name", "tg_table_schema": "name", "tg_relname": "name", "tg_nargs": "int4",
                      "tg_argv": "_text"}  # fmt: skip
_EXCEPTION = {"sqlstate": "text", "sqlerrm": "text"}


@dataclass(frozen=True, slots=True)
class Part:
    """A statement of a body; `sure`: it is run whenever the function is, unless it has returned before."""

    text: str
    sure: bool


@dataclass(frozen=True, slots=True)
class Body:
    """What a function sends: `parts` can be asked about, `variables` are the types of those that they name.

    `whole`: nothing of it is hidden, as the text of an EXECUTE is.
    """

    parts: tuple[Part, ...] = ()
    variables: Mapping[str, str] | None = None
    whole: bool = True
    calls: frozenset[str] = frozenset()
    writes: tuple[tuple[Write, bool], ...] = ()


@lru_cache(maxsize=2048)
def body(language: str, source: str, definition: str) -> Body:
    """What a function of that language sends; empty, and not whole, where its source can't be read."""
    match language:
        case "sql":
            return _of_sql(source, definition)
        case "plpgsql":
            return _of_plpgsql(definition)
    return Body(whole=False)


def calls(nodes: Iterable[tree.Node]) -> frozenset[str]:
    """The names of the functions that are called in the nodes of a tree."""
    return frozenset(tree.name(each) for each in nodes if tree.kind(each) == "FuncCall")


def _of_sql(source: str, definition: str) -> Body:
    if not source.strip():  # BEGIN ATOMIC
        node = tree.parse(definition)
        nodes = [node] if node is not None else []
    else:
        data = source.encode()
        try:
            texts = [data[each.start : each.end].decode() for each in parser.parse(data).statements]
        except (PgQueryError, ValueError):
            return Body(whole=False)
        nodes = [node for text in texts if (node := tree.parse_or_error(text)[0]) is not None]
    writes = tuple((write, True) for node in nodes for write in of_node(node))
    return Body(calls=frozenset().union(*(calls(tree.walk(node)) for node in nodes)), writes=writes)


def _of_plpgsql(definition: str) -> Body:
    types = {match["name"].lower(): match["type"] for match in _ROWTYPE.finditer(definition)}
    read = tree.parse_body(_ROWTYPE.sub(r"\g<name>\g<between>record", definition))
    function = read[0].get("PLpgSQL_function", {}) if read else {}
    if not function.get("action"):
        return Body(whole=False)
    variables = {**_KNOWN_TO_TRIGGERS, **_EXCEPTION, **_variables(function.get("datums", ())), **types}
    every = tuple(_parts(function["action"], sure=True))
    records = {
        datum["PLpgSQL_rec"]["refname"].lower() for datum in function.get("datums", ()) if "PLpgSQL_rec" in datum
    }
    parts = tuple(part for part in every if not _names(part.text, records - types.keys() - {"new", "old"}))
    dynamic = any(kind in _DYNAMIC for kind, _ in tree.body_parts(function["action"]))
    nodes = [(node, part.sure) for part in every if (node := tree.parse_or_error(part.text)[0]) is not None]
    writes = tuple((write, sure) for node, sure in nodes for write in of_node(node))
    return Body(
        parts, variables, not dynamic, frozenset().union(*(calls(tree.walk(node)) for node, _ in nodes)), writes
    )


def _variables(datums: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The types of variables by name; where blocks have several of one name, that of the outermost."""
    types: dict[str, str] = {}
    for variable in (datum["PLpgSQL_var"] for datum in datums if "PLpgSQL_var" in datum):
        types.setdefault(variable["refname"], variable["datatype"]["PLpgSQL_type"]["typname"])
    return types


def _parts(part: Any, *, sure: bool) -> Iterator[Part]:
    """The statements and expressions in their order."""
    if isinstance(part, list):
        for each in part:
            yield from _parts(each, sure=sure)
    if not isinstance(part, dict):
        return
    for kind, inner in part.items():
        if kind == "PLpgSQL_expr":
            if text := _statement(inner):
                yield Part(text, sure)
        elif kind in _BRANCHES and isinstance(inner, dict):
            for key, each in inner.items():
                first = key in _CONDITIONS and kind != "PLpgSQL_exception_block"
                yield from _parts({key: each}, sure=sure and first)
        else:
            yield from _parts(inner, sure=sure)


def _statement(expression: Mapping[str, Any]) -> str:
    query, mode = str(expression["query"]), expression.get("parseMode", 0)
    if _CASE in query:
        return ""
    if mode == 0:
        return query
    if mode > 2:
        assigned = _ASSIGNMENT.fullmatch(query)
        query = assigned["value"] if assigned else ""
    return f"SELECT {query}" if query.strip() else ""


def _names(text: str, words: set[str]) -> bool:
    return not words.isdisjoint(word.lower() for word in _WORD.findall(text))


def used(text: str, variables: Mapping[str, str]) -> dict[str, str]:
    """Of the variables those that the statement may name."""
    lower = text.lower()
    return {name: kind for name, kind in variables.items() if name.lower() in lower}
