"""The partitions of a table in the order of their bounds."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from psycopg import Connection
from psycopg.sql import SQL, Identifier, Literal

from pgyoyo.backfill.tables import Targets, rows
from pgyoyo.sql import tree

# The oid of a partition, its bound, and the types of its parent's key.
_Child = tuple[int, str, list[str]]
# What sorts before the value of a bound: no range, MINVALUE, a value, MAXVALUE.
_NONE, _LEAST, _VALUE, _MOST = range(4)


def in_order(conn: Connection, targets: Targets, order: str) -> Targets:
    """The targets with their tables by the lower bounds of their ranges, the `newest` (highest) or the `oldest` first.

    A partition of partitions stands where its own bound says. What has no range (a list, a hash, the default, a child of
    inheritance) counts as older than all, and goes by its oid: those made first are the oldest.
    """
    if not order or not targets.split:
        return targets
    children: dict[int, list[_Child]] = defaultdict(list)
    for oid, parent, bound, kinds in rows(conn, "bounds", {"tables": [table.oid for table in targets.tables]}):
        children[parent].append((oid, bound, kinds))
    roots = sorted(set(children) - {oid for below in children.values() for oid, *_ in below})
    sequence: list[int] = []

    def walk(parent: int) -> None:
        sequence.append(parent)
        for oid in _sorted(conn, children.get(parent, [])):
            walk(oid)

    for root in roots:
        walk(root)
    places = {oid: place for place, oid in enumerate(sequence)}
    tables = sorted(targets.tables, key=lambda table: places.get(table.oid, -1), reverse=order == "newest")
    return replace(targets, tables=tuple(tables))


def _sorted(conn: Connection, children: Sequence[_Child]) -> list[int]:
    """The oids of the partitions of one table, the lowest range first; the server compares the bounds by their types."""
    if not children:
        return []
    kinds = children[0][2] or ["text"]
    values = []
    for oid, text, _ in children:
        lower = _lower(text) or [(_NONE, None)] * len(kinds)
        bounds = [
            SQL("{}::int4, {}::" + kind.replace("{", "{{").replace("}", "}}")).format(
                rank, Literal(value)
            )  # as format_type gave it
            for (rank, value), kind in zip(lower, kinds, strict=True)
        ]
        values.append(SQL("({}::int8, {})").format(oid, SQL(", ").join(bounds)))
    names = [name for place in range(len(kinds)) for name in (f"rank{place}", f"bound{place}")]
    columns = SQL(", ").join(map(Identifier, ("oid", *names)))
    order = SQL(", ").join(map(Identifier, (*names, "oid")))
    query = SQL("SELECT v.oid FROM (VALUES {}) AS v ({}) ORDER BY {}").format(SQL(", ").join(values), columns, order)
    return [row[0] for row in conn.execute(query).fetchall()]


def _lower(text: str) -> list[tuple[int, str | None]]:
    """The rank and the value of each column of the lower bound; empty where it is no range."""
    node = tree.parse(f"CREATE TABLE x PARTITION OF y {text}")
    if node is None:
        return []
    bounds: list[tuple[int, str | None]] = []
    for item in node.partbound.lowerdatums:
        part = tree.unwrap(item)
        if tree.kind(part) == "A_Const":
            which = part.WhichOneof("val")
            bounds.append((_VALUE, str(getattr(getattr(part, which), which))))
        else:
            bounds.append((_MOST if "maxvalue" in str(part) else _LEAST, None))
    return bounds
