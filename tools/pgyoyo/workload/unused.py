"""The foreign keys that hold no row yet, since only the next release fills their columns: they stop no write of this one."""

import re
from collections.abc import Collection, Iterable, Iterator

from psycopg import Connection

from pgyoyo.workload import conditions
from pgyoyo.workload.guards import Guards, Link

_WORD = re.compile(r"\w+")


def unused(
    conn: Connection, before: Guards, now: Guards, written: Collection[str], code: Iterable[str]
) -> frozenset[int]:
    """The OIDs of the foreign keys of new columns, or of new tables, that have no values.

    Those are left out whose table is among the `written`, or that `code` may fill, since it names the column, or the new
    table.
    """
    new = [(link, names) for link in _links(now) if (names := _new(link, before, now))]
    if not new:
        return frozenset()
    filled = _words(" ".join(written))
    named = filled.union(*map(_words, code))
    return frozenset(
        link.oid
        for link, names in new
        if named.isdisjoint(names)
        and filled.isdisjoint(_last(now.tables[link.table].qualified))
        and not conditions.has_value(conn, now.tables[link.table], link.columns)
    )


def _links(guards: Guards) -> Iterator[Link]:
    return (link for links in guards.referring.values() for link in links)


def _new(link: Link, before: Guards, now: Guards) -> frozenset[str]:
    """What code would have to name: a table that is new, else a column that is new and has no default."""
    table = now.tables[link.table]
    was = before.counterpart(table)
    if was is None:
        return _last(table.qualified)
    columns = [table.columns[number] for number in link.columns]
    new = [column.name for column in columns if not was.numbers([column.name]) and column.value is None]
    return frozenset(name.lower() for name in new)


def _last(name: str) -> frozenset[str]:
    return frozenset(_WORD.findall(name.lower())[-1:])


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))
