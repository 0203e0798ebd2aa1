"""A fleet as [[tool.pgyoyo.fleet]] or the command line describes it, checked but not yet looked up."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pgyoyo import units
from pgyoyo.errors import UsageError, closest

QUERY = ("select", "with", "values", "table")
_GROUP_KEYS = ("name", "match", "migrations")
# A member takes so many at most: one at work, one that has looked before, and one that sees who is in its way.
SESSIONS = 3
_PER_SERVER = 8
_ONCE_OR_MORE = "a text or a list of texts"


@dataclass(frozen=True, slots=True)
class Group:
    """Members whose id fits one of the shell patterns `match`; `migrations` are its own folders, where it has some."""

    name: str
    match: tuple[str, ...]
    migrations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Limits:
    """How a run goes on and when it ends; seconds and bytes, None for no limit.

    `max_failures` is a number of members, or below 1 a share of them; `canary` likewise how many run alone first.
    `max_connections` are those that a run takes of a server.
    """

    jobs: int | None = None
    per_server: int | None = None
    max_connections: int | None = None
    backfills: int = 2
    max_failures: float = 10
    canary: float = 1
    bake: float = 0.0
    max_lock: float | None = None
    max_wal: int | None = None
    max_duration: float | None = None

    @property
    def places(self) -> int:
        """How many members of one server at a time at most."""
        wanted = self.per_server or self.jobs or _PER_SERVER
        return wanted if self.max_connections is None else min(wanted, self.max_connections // SESSIONS)

    def jobs_for(self, members: int, servers: int) -> int:
        """How many members at a time: no more than there are, nor than 16 a processor."""
        wanted = self.jobs or self.places * servers
        return max(1, min(wanted, members, 16 * (os.cpu_count() or 1)))

    def failures_allowed(self, members: int) -> int:
        """The number of failed members at which the run ends."""
        return _count(self.max_failures, members)

    def canaries(self, members: int) -> int:
        """How many members run alone before the others."""
        return _count(self.canary, members) if self.canary else 0


@dataclass(frozen=True, slots=True)
class Fleet:
    """Where the members come from, and the limits of a run.

    `databases` and `schemas` are each names, or a query for them (`template` makes a URL of its columns), which `catalog` is
    asked; `source` is where it stands, for errors.
    """

    name: str
    databases: tuple[str, ...] | str = ()
    schemas: tuple[str, ...] | str = ()
    catalog: str | None = None
    template: str | None = None
    order_by: str | None = None
    groups: tuple[Group, ...] = ()
    limits: Limits = Limits()
    source: str = "the command line"

    @property
    def titled(self) -> str:
        """How a sentence calls it; the one of a command line has no name of its own but "fleet"."""
        return "the fleet" if self.name == "fleet" else f"the fleet {self.name}"


_KEYS = {
    "name": "a text",
    "databases": _ONCE_OR_MORE,
    "schemas": _ONCE_OR_MORE,
    "catalog": "a text",
    "template": "a text",
    "order_by": "a text",
    "groups": "a list of tables",
    "jobs": "a number",
    "per-server": "a number",
    "max-connections": "a number",
    "backfills": "a number",
    "max-failures": "a number or a percentage",
    "canary": "a number or a percentage",
    "bake": "a time",
    "max-lock": "a time",
    "max-wal": "a size",
    "max-duration": "a time",
}
_LIMITS = (
    "jobs", "per-server", "max-connections", "backfills", "max-failures", "canary", "bake", "max-lock", "max-wal",
    "max-duration",
)  # fmt: skip


def choose(tables: Sequence[Mapping[str, Any]], name: str, source: str) -> Fleet:
    """The fleet of that name; raises UsageError where there is none, or for a value that can't be meant."""
    names = [str(table.get("name", "")) for table in tables]
    if name not in names:
        near = closest(name, names)
        named = ", ".join(filter(None, names))
        known = f"did you mean {near}?" if near else f"known are {named}" if named else "none has a name"
        raise UsageError(f'{source}: there is no [[tool.pgyoyo.fleet]] with the name "{name}"; {known}')
    if names.count(name) > 1:
        raise UsageError(f'{source}: two [[tool.pgyoyo.fleet]] have the name "{name}"; rename one of them')
    return read(tables[names.index(name)], source)


def read(table: Mapping[str, Any], source: str) -> Fleet:
    """The fleet of one table; raises UsageError with the key and its value."""
    where = f"{source}: [[tool.pgyoyo.fleet]]"
    for key in table:
        if key not in _KEYS:
            near = closest(key, _KEYS)
            raise UsageError(
                f'{where} has an unknown key "{key}"; '
                + (f"did you mean {near}?" if near else "known are " + ", ".join(_KEYS))
            )
    texts: dict[str, Any] = {}
    for key in ("name", "catalog", "template", "order_by"):
        if key in table:
            texts[key] = _text(where, key, table[key])
    for key in ("databases", "schemas"):
        if key in table:
            texts[key] = _names(where, key, table[key])
    if not texts.get("databases") and not texts.get("schemas"):
        raise UsageError(f"{where} names no databases and no schemas; give one of the two: a list, a file or a query")
    return Fleet(
        **texts,
        groups=tuple(_group(where, each) for each in _list(where, "groups", table.get("groups", []))),
        limits=limits({key: table[key] for key in _LIMITS if key in table}, where),
        source=source,
    )


def limits(values: Mapping[str, Any], where: str) -> Limits:
    """The limits of a run from their texts, as a file or the command line has them; raises UsageError."""
    readers = {"bake": units.seconds, "max-lock": units.seconds, "max-duration": units.seconds, "max-wal": units.size}
    chosen: dict[str, Any] = {}
    for key, value in values.items():
        try:
            if key in readers:
                read_value = readers[key](str(value))
            elif key in ("max-failures", "canary"):
                read_value = _number_or_share(value)
            else:
                read_value = _number(value)
                least = SESSIONS if key == "max-connections" else 1
                if read_value < least:
                    raise ValueError(f"it must be {least} or more")
        except ValueError as error:
            raise UsageError(f'{where}: {key} is "{value}"; write {_KEYS[key]}: {error}') from None
        chosen[key.replace("-", "_")] = read_value
    return Limits(**chosen)


def is_query(text: str) -> bool:
    """Whether a text is a query, and no name or file."""
    return text.lstrip("( \n\t").split(None, 1)[:1] != [] and text.lstrip("( \n\t").split(None, 1)[0].lower() in QUERY


def _number(value: Any) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise ValueError("it is not a whole number")
    return int(text)


def _number_or_share(value: Any) -> float:
    text = str(value).strip()
    if text.endswith("%"):
        share = units.share(text)
        if not 0 <= share <= 1:
            raise ValueError("a percentage lies between 0% and 100%")
        # All of them is a share, too, and no single one.
        return min(share, math.nextafter(1, 0))
    number = _number(value)
    if number < 0:
        raise ValueError("it must not be negative")
    return number


def _count(limit: float, members: int) -> int:
    return max(1, math.ceil(limit * members)) if 0 < limit < 1 else int(limit)


def _text(where: str, key: str, value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{where}: {key} is {_shown(value)}; it must be {_KEYS[key]}")
    return value


def _names(where: str, key: str, value: Any) -> tuple[str, ...] | str:
    if isinstance(value, str) and value.strip():
        return value
    if not isinstance(value, list) or not value or not all(isinstance(each, str) and each.strip() for each in value):
        entries = value if isinstance(value, list) else [value]
        wrong: Any = next((each for each in entries if not isinstance(each, str) or not each.strip()), [])
        raise UsageError(f"{where}: {key} has {_shown(wrong)}; it must be {_KEYS[key]}")
    return tuple(value)


def _shown(value: Any) -> str:
    """The value; of a list or table only that it is one, since URLs with passwords may be in it."""
    if value and isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a table"
    return repr(value)


def _list(where: str, key: str, value: Any) -> list[Any]:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise UsageError(f"{where}: {key} is {value!r}; it must be {_KEYS[key]}")
    return value


def _group(where: str, table: Mapping[str, Any]) -> Group:
    for key in table:
        if key not in _GROUP_KEYS:
            raise UsageError(f'{where}: a group has an unknown key "{key}"; known are {", ".join(_GROUP_KEYS)}')
    match = table.get("match")
    patterns = [match] if isinstance(match, str) else match
    if not isinstance(patterns, list) or not patterns or not all(isinstance(each, str) and each for each in patterns):
        raise UsageError(f"{where}: match of a group is {match!r}; it must be a shell pattern, or a list of them")
    folders = table.get("migrations", [])
    folders = [folders] if isinstance(folders, str) else folders
    if not isinstance(folders, list) or not all(isinstance(each, str) and each for each in folders):
        raise UsageError(f"{where}: migrations of a group is {folders!r}; it must be a folder, or a list of them")
    return Group(str(table.get("name") or patterns[0]), tuple(patterns), tuple(folders))
