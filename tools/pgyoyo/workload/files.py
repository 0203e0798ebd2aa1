"""The statements in folders of .sql files, as sqlc, aiosql and PugSQL keep them."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from pgyoyo import plain_file
from pgyoyo.errors import Defect, UsageError
from pgyoyo.sql import parser, tree
from pgyoyo.workload.placeholders import numbered
from pgyoyo.workload.statements import HEAD, Query, read

# The name ends before what the libraries put behind it: find^, find(id)^, Find :one. PugSQL writes :name find.
_NAME = re.compile(r"^[ \t]*--[ \t]*(?:name[ \t]*:|:name[ \t])[ \t]*([\w.-]+)?[^\n]*\n?", re.MULTILINE)


def queries(place: Path) -> tuple[list[Query], list[Defect]]:
    """The statements of a file, or of every .sql file below a folder, with $1 and so on for parameters; and what is left out.

    A file that `pgyoyo queries` wrote keeps its calls. Left out is what PostgreSQL's parser can't read: templates, and words
    of a newer version. Raises UsageError where nothing is there or a file can't be read.
    """
    # What is named may be a pipe; what lies in a folder is a file.
    read_bytes = plain_file.read if place.is_dir() else Path.read_bytes
    paths = sorted(place.rglob("*.sql")) if place.is_dir() else [place]
    if not paths:
        raise UsageError(f"{place} holds no .sql file; name the folder of the application's statements")
    defects: list[Defect] = []
    statements = [query for path in paths for query in _of_file(path, read_bytes, defects)]
    return statements, defects


def _of_file(path: Path, read_bytes: Callable[[Path], bytes], defects: list[Defect]) -> Iterator[Query]:
    try:
        text = read_bytes(path).decode("utf-8-sig").replace("\r\n", "\n").replace("\0", " ")
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name a .sql file or a folder of them") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text; save it as UTF-8") from None
    if text.startswith(HEAD):  # one that pgyoyo wrote
        yield from read(path)
        return
    heads = list(_NAME.finditer(text))
    starts = [("", 0)] + [(head[1] or "", head.end()) for head in heads]
    ends = [head.start() for head in heads] + [len(text)]
    for (name, start), end in zip(starts, ends, strict=True):
        data = text[start:end].encode()
        script = parser.parse(data, of_application=True)
        for statement in script.statements:
            line = text.count("\n", 0, start) + script.line(statement.start)
            query = numbered(data[statement.start : statement.end].decode())
            if fault := tree.parse_or_error(query)[1]:
                line += query.count("\n", 0, fault[0])
                defects.append(Defect(path, line, f"left out: {fault[1]}"))
            else:
                yield Query(query, name)
