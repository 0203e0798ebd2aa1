"""The file of statements: plain SQL with $1 for parameters, a statement an entry.

    -- name: find_upload
    -- calls: 1204
    SELECT id, language FROM cj_batch_uploads WHERE id = $1;

Both lines may be left out, and other comments say nothing to pgyoyo.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pgyoyo.errors import Defect, DefectsError, UsageError, closest
from pgyoyo.sql import parser, tree
from pgyoyo.sql.lexer import skip_blank, start_of
from pgyoyo.sql.wrapped import unwrapped

HEAD = """\
-- The statements of an application, each once, for `pgyoyo review --queries`.
"""
# What an application sends to work on rows: it can be prepared, and a change of the schema can break it.
KINDS = frozenset(("SelectStmt", "InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt", "CallStmt"))
_KEYS = ("name", "calls")
_DIRECTIVE = re.compile(r"--[ \t]*([A-Za-z]+)[ \t]*:[ \t]*(.*?)[ \t\r]*")
# Three digits: a file that is collected again changes where the application did.
_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Query:
    """A statement without its semicolon; `name` is "" and `calls` None where unknown."""

    text: str
    name: str = ""
    calls: int | None = None


def written(queries: Iterable[Query]) -> str:
    """The text of the file; equal for equal queries, whatever their order. Calls from a thousand on are rounded."""
    ordered = sorted(queries, key=lambda query: (query.text.lower(), query.text, query.name))
    return "\n".join((HEAD, *map(_entry, ordered)))


def _entry(query: Query) -> str:
    name = f"-- name: {' '.join(query.name.split())}\n" if query.name else ""
    calls = "" if query.calls is None else f"-- calls: {_rounded(query.calls)}\n"
    return f"{name}{calls}{query.text};\n"


def _rounded(calls: int) -> int:
    return round(calls, min(0, _DIGITS - len(str(calls))))


def read(path: Path) -> list[Query]:
    """The queries of the file, in its order; raises UsageError where it can't be read, DefectsError with every defect."""
    try:
        data = path.read_bytes()
        data.decode()
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; --queries names a file of SQL statements") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text; save it as UTF-8") from None
    defects: list[Defect] = []
    queries = list(_entries(path, data, defects))
    if defects:
        raise DefectsError(defects)
    return queries


def _entries(path: Path, data: bytes, defects: list[Defect]) -> Iterator[Query]:
    """The queries that can be read; what is wrong with the others goes to `defects`."""
    end = start_of(data)
    script = parser.parse(data.replace(b"\0", b" "), of_application=True)
    for offset, message in script.problems:
        defects.append(Defect(path, script.line(offset), message))
    for statement in script.statements:
        line = script.line(statement.start)
        facts = dict(_directives(path, data[end : statement.start], script.line(end), defects))
        end = skip_blank(data, statement.end, len(data)) + 1
        text = data[statement.start : statement.end].decode()
        calls = facts.get("calls")
        if defect := _defect(text):
            offset, message = defect
            defects.append(Defect(path, line + text.count("\n", 0, offset), message))
        else:
            yield Query(_judged(text), facts.get("name", ""), int(calls) if calls else None)


def _directives(path: Path, comments: bytes, line: int, defects: list[Defect]) -> Iterator[tuple[str, str]]:
    for number, text in enumerate(comments.decode().split("\n"), line):
        if not (match := _DIRECTIVE.fullmatch(text.strip())):
            continue
        key, value = match.groups()
        if key not in _KEYS:
            if near := closest(key.lower(), _KEYS, cutoff=0.75):
                defects.append(Defect(path, number, f'unknown line "-- {key}:"; did you mean {near}?'))
        elif key == "calls" and not (value.isascii() and value.isdecimal()):
            defects.append(Defect(path, number, f'"calls" is "{value}"; it must be a whole number, 0 or more'))
        else:
            yield key, value


def _defect(text: str) -> tuple[int, str] | None:
    """Where and why it is no statement of an application: a character's offset, and what to do."""
    if len(text) > tree.LONGEST:
        return 0, f"a statement of {len(text)} characters; {tree.LONGEST} are read at most: remove it"
    node, error = tree.parse_or_error(text)
    if error:
        offset, message = error
        return offset, f"{message}; write it as PostgreSQL takes it, with $1 for parameters"
    if node is not None and tree.kind(node) == "CopyStmt" and node.is_from and not node.attlist:
        return 0, "COPY names no columns, so the table decides which it fills; list them: COPY t (a, b) FROM STDIN"
    if tree.kind(tree.parse(_judged(text))) not in KINDS:
        return 0, "this neither reads nor writes rows as an application does; remove it"
    return None


def _judged(text: str) -> str:
    """The statement that is judged: one on rows; for COPY, PREPARE, DECLARE and the like the one that does the same."""
    return text if tree.kind(tree.parse(text)) in KINDS else unwrapped(text)
