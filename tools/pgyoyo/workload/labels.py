"""The values of enums that a statement may send and that are gone with a change of the schema."""

from collections.abc import Iterator, Mapping

from psycopg import Connection

from pgyoyo.workload.description import Description

_LABELS = """\
SELECT t.oid::pg_catalog.int8, pg_catalog.array_agg(e.enumlabel::pg_catalog.text)
FROM pg_catalog.pg_enum AS e
JOIN pg_catalog.pg_type AS t ON t.oid OPERATOR(pg_catalog.=) e.enumtypid OR t.typelem OPERATOR(pg_catalog.=) e.enumtypid
GROUP BY t.oid
"""

# By the OID of an enum, or of an array of one.
Labels = Mapping[int, frozenset[str]]


def read(conn: Connection) -> Labels:
    """The values of each enum as they are now."""
    return {oid: frozenset(labels) for oid, labels in conn.execute(_LABELS)}


def gone(statement: Description, before: Labels, now: Labels) -> Iterator[str]:
    """What parameters no longer take, in words; a type that is another now is not looked at."""
    for place, kind in enumerate(statement.parameters, start=1):
        if lost := before.get(kind.oid, frozenset()) - now.get(kind.oid, before.get(kind.oid, frozenset())):
            yield f"${place}, {kind.name}, no longer takes {', '.join(map(repr, sorted(lost)))}"
