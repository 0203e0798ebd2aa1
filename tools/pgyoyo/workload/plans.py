"""Which indexes a statement is served by, from the generic plan, and which of them it loses with a change of the schema."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Connection

_SCANS = ("Index Scan", "Index Only Scan", "Bitmap Index Scan")
_SORTS = ("Sort", "Incremental Sort")
_INDEXES = """\
SELECT t.relname, x.relname, i.indexrelid::pg_catalog.int8, i.indisunique, i.indnkeyatts,
       pg_catalog.pg_get_indexdef(i.indexrelid, 1, false)
FROM pg_catalog.pg_index AS i
JOIN pg_catalog.pg_class AS t ON t.oid OPERATOR(pg_catalog.=) i.indrelid
JOIN pg_catalog.pg_class AS x ON x.oid OPERATOR(pg_catalog.=) i.indexrelid
WHERE i.indexrelid OPERATOR(pg_catalog.>=) 16384 AND i.indisvalid
"""
_TABLES = "SELECT relname FROM pg_catalog.pg_class WHERE relkind OPERATOR(pg_catalog.=) ANY ('{r,p,m,t}')"


@dataclass(frozen=True, slots=True)
class Scan:
    """A scan of an index: `conditions` are those that it looks up, none where it reads all of it."""

    table: str
    index: str
    conditions: frozenset[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """The scans of indexes in a plan, and how often it sorts."""

    scans: tuple[Scan, ...] = ()
    sorts: int = 0


@dataclass(frozen=True, slots=True)
class Index:
    """An index that may be used; `first` is its first column or expression."""

    oid: int
    unique: bool
    keys: int
    first: str

    def looked_up(self, scan: Scan) -> frozenset[str]:
        """The conditions of a scan; none without one on the first column, since all of the index is read then."""
        first = re.compile(rf"(?<![\w.]){re.escape(self.first)}(?!\w)")
        return scan.conditions if any(map(first.search, scan.conditions)) else frozenset()


@dataclass(frozen=True, slots=True)
class Indexes:
    """The indexes of a database by the names of table and index, and the names of its tables."""

    indexes: Mapping[tuple[str, str], Index]
    tables: frozenset[str]

    def gone(self, now: "Indexes") -> dict[tuple[str, str], Index]:
        """Those that are no longer there, on tables that are."""
        kept = {index.oid for index in now.indexes.values()}
        return {name: index for name, index in self.indexes.items() if index.oid not in kept and name[0] in now.tables}


def read(conn: Connection) -> Indexes:
    """The indexes as they are now."""
    indexes = {(table, name): Index(*facts) for table, name, *facts in conn.execute(_INDEXES)}
    return Indexes(indexes, frozenset(name for (name,) in conn.execute(_TABLES)))


def plan_of(explained: Sequence[Any]) -> Plan:
    """The plan as EXPLAIN (FORMAT JSON) gives it; of a statement that rules rewrite it has several parts."""
    nodes = [
        node for part in explained if isinstance(part, dict) and "Plan" in part for node in _nodes(part["Plan"], "")
    ]
    scans = [
        Scan(table, node["Index Name"], _conditions(node.get("Index Cond", "")))
        for table, node in nodes
        if node["Node Type"] in _SCANS
    ]
    return Plan(tuple(scans), sum(node["Node Type"] in _SORTS for _, node in nodes))


def _nodes(node: Mapping[str, Any], table: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every node with the table that it reads: a bitmap's is named above it."""
    table = node.get("Relation Name", table)
    yield table, node
    for below in node.get("Plans", ()):
        yield from _nodes(below, table)


def _conditions(text: str) -> frozenset[str]:
    inner = text[1:-1] if text.startswith("((") else text
    return frozenset(part.strip("()") for part in inner.split(") AND (")) if inner else frozenset()


def lost(before: Plan, now: Plan, gone: Mapping[tuple[str, str], Index], indexes: Indexes) -> list[str]:
    """The indexes of the plan before that are gone and that no other serves as well now: `indexes` are those now.

    Another serves as well that looks up the same conditions, or finds at most one row; where the order came from the index,
    the plan must not sort.
    """
    names = []
    for scan in before.scans:
        if (index := gone.get((scan.table, scan.index))) is None:
            continue
        conditions = index.looked_up(scan)
        served = any(_serves(each, conditions, indexes) for each in now.scans if each.table == scan.table)
        if (conditions and not served) or now.sorts > before.sorts:
            names.append(scan.index)
    return list(dict.fromkeys(names))


def _serves(scan: Scan, conditions: frozenset[str], indexes: Indexes) -> bool:
    index = indexes.indexes.get((scan.table, scan.index))
    if index is None:
        return False
    looked_up = index.looked_up(scan)
    return looked_up >= conditions or (index.unique and len(looked_up) >= index.keys)
