"""The file of sizes: how big the tables of a production database are, for reviews that can't log in there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgyoyo.errors import UsageError, closest
from pgyoyo.review.sheet import LiveTable

FORMAT = 1
# Three digits: a table that grows a little leaves its line in git as it is.
_DIGITS = 3
_KEYS = ("rows", "bytes", "indexes", "index_bytes")


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the file holds: the server's version as libpq gives it, and each table by its quoted name; no activity."""

    path: Path
    server_version: int
    tables: Mapping[str, LiveTable]


def written(server_version: int, tables: Mapping[str, LiveTable]) -> str:
    """The text of the file, a line for each table in the order of their names: names, counts and bytes, no values.

    Counts and bytes are rounded, so that two runs on the same database write the same.
    """
    lines = [
        f"    {json.dumps(name, ensure_ascii=False)}: {json.dumps(_facts(table))}"
        for name, table in sorted(tables.items())
    ]
    head = f'{{\n  "written_by": "pgyoyo sizes",\n  "format": {FORMAT},\n  "server_version": {server_version},\n'
    return f'{head}  "tables": {{\n' + ",\n".join(lines) + "\n" * bool(lines) + "  }\n}\n"


def _facts(table: LiveTable) -> dict[str, int | None]:
    values = (table.rows, table.size, table.indexes, table.index_size)
    return {key: _rounded(value) for key, value in zip(_KEYS, values, strict=True)}


def _rounded(value: int | None) -> int | None:
    return None if value is None else round(value, min(0, _DIGITS - len(str(value))))


def read(path: Path) -> Sizes:
    """The file at that path; raises UsageError where it is none that pgyoyo sizes wrote."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror}; write it with: pgyoyo sizes --database URL --output {path}"
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text; {_again(path)}") from None
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}:{error.lineno}: not valid JSON: {error.msg}; {_again(path)}") from None
    if not isinstance(content, dict) or not isinstance(content.get("tables"), dict):
        raise UsageError(f'{path} was not written by pgyoyo sizes: it has no "tables"; {_again(path)}')
    if content.get("format") != FORMAT:
        raise UsageError(f'{path}: "format" is {content.get("format")!r}, {FORMAT} is known; {_again(path)}')
    version = content.get("server_version")
    if not isinstance(version, int) or not _is_count(version):
        raise UsageError(f'{path}: "server_version" is {version!r}; it must be a number such as 160004')
    return Sizes(path, version, {name: _table(path, name, facts) for name, facts in content["tables"].items()})


def _table(path: Path, name: str, facts: Any) -> LiveTable:
    if not isinstance(facts, dict):
        raise UsageError(f'{path}: "{name}" is {facts!r}; it must be an object with {", ".join(_KEYS)}')
    for key, value in facts.items():
        if key not in _KEYS:
            near = closest(key, _KEYS)
            advice = f"did you mean {near}?" if near else "known are " + ", ".join(_KEYS)
            raise UsageError(f'{path}: unknown key "{key}" of "{name}"; {advice}')
        if value is not None and not _is_count(value):
            raise UsageError(f'{path}: "{key}" of "{name}" is {value!r}; it must be a whole number, 0 or more, or null')
    return LiveTable(
        facts.get("rows"), facts.get("bytes"), facts.get("indexes") or 0, facts.get("index_bytes"), None, None
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _again(path: Path) -> str:
    return f"write it again: pgyoyo sizes --output {path}"
