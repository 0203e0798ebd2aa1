"""The file of sizes: how big the tables of a production database are, for reviews that can't log in there."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgyoyo.errors import UsageError, closest
from pgyoyo.review.sheet import LiveTable, Spread
from pgyoyo.text import escaped_json

FORMAT = 1
# Three digits: a table that grows a little leaves its line in git as it is.
_DIGITS = 3
_KEYS = ("rows", "bytes", "indexes", "index_bytes")
# Of the largest of a fleet's tables: how many members have it, and how it is spread over them.
_FLEET_KEYS = ("members", "median_rows", "median_bytes", "total_rows", "total_bytes")


@dataclass(frozen=True, slots=True)
class Sizes:
    """What the file holds: the server's version as libpq gives it, and each table by its quoted name; no activity.

    `members`: how many a fleet has whose largest tables these are, else None.
    """

    path: Path
    server_version: int
    tables: Mapping[str, LiveTable]
    members: int | None = None


def written(server_version: int, tables: Mapping[str, LiveTable], members: int | None = None) -> str:
    """The text of the file, a line for each table in the order of their names: names, counts and bytes, no values.

    Counts and bytes are rounded, so that two runs on the same database write the same. With `members` the tables are the
    largest of a fleet with so many; whose they are is left out, as names of members may be those of customers.
    """
    lines = [
        f"    {escaped_json(json.dumps(name, ensure_ascii=False))}: {json.dumps(_facts(table))}"
        for name, table in sorted(tables.items())
    ]
    head = f'{{\n  "written_by": "pgyoyo sizes",\n  "format": {FORMAT},\n  "server_version": {server_version},\n'
    head += "" if members is None else f'  "members": {members},\n'
    return f'{head}  "tables": {{\n' + ",\n".join(lines) + "\n" * bool(lines) + "  }\n}\n"


def _facts(table: LiveTable) -> dict[str, int | None]:
    values = (table.rows, table.size, table.indexes, table.index_size)
    facts = {key: _rounded(value) for key, value in zip(_KEYS, values, strict=True)}
    if spread := table.fleet:
        spreads = (spread.median_rows, spread.median_size, spread.total_rows, spread.total_size)
        facts |= {"members": spread.members}
        facts |= {key: _rounded(value) for key, value in zip(_FLEET_KEYS[1:], spreads, strict=True)}
    return facts


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
    members = content.get("members")
    if members is not None and not _is_count(members):
        raise UsageError(f'{path}: "members" is {members!r}; it must be a whole number, 0 or more')
    return Sizes(path, version, {name: _table(path, name, facts) for name, facts in content["tables"].items()}, members)


def _table(path: Path, name: str, facts: Any) -> LiveTable:
    if not isinstance(facts, dict):
        raise UsageError(f'{path}: "{name}" is {facts!r}; it must be an object with {", ".join(_KEYS)}')
    for key, value in facts.items():
        if key not in (*_KEYS, *_FLEET_KEYS):
            near = closest(key, (*_KEYS, *_FLEET_KEYS))
            advice = f"did you mean {near}?" if near else "known are " + ", ".join(_KEYS)
            raise UsageError(f'{path}: unknown key "{key}" of "{name}"; {advice}')
        if value is not None and not _is_count(value):
            raise UsageError(f'{path}: "{key}" of "{name}" is {value!r}; it must be a whole number, 0 or more, or null')
    fleet = Spread(facts["members"], None, *map(facts.get, _FLEET_KEYS[1:])) if facts.get("members") else None
    return LiveTable(
        facts.get("rows"),
        facts.get("bytes"),
        facts.get("indexes") or 0,
        facts.get("index_bytes"),
        None,
        None,
        fleet=fleet,
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _again(path: Path) -> str:
    return f"write it again: pgyoyo sizes --output {path}"
