"""The partitions of a table in the order of their bounds."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from psycopg import Connection
from psycopg.sql import SQL, Literal

from pgyoyo.backfill.tables import Targets, rows
from pgyoyo.sql import tree


def in_order(conn: Connection, targets: Targets, order: str) -> Targets:
    """The targets with their tables by the lower bounds of their ranges, the `newest` (highest) or the `oldest` first.

    A partition of partitions stands where its own bound says. What has no range (a list, a hash, the default, a child of
    inheritance) counts as older than all, and goes by its oid: those made first are the oldest.
    """
    if not order or not targets.split:
        return targets
    children: dict[int, list[tuple[int, str, str]]] = defaultdict(list)
    for oid, parent, bound, kind in rows(conn, "bounds", {"tables": [table.oid for table in targets.tables]}):
        children[parent].append((oid, bound, kind))
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


def _sorted(conn: Connection, children: Sequence[tuple[int, str, str]]) -> list[int]:
    """The oids of the partitions of one table, the lowest range first; the server compares the bounds by their type."""
    if not children:
        return []
    values = [
        SQL("({}::int8, {}, {}::int4)").format(oid, _bound(text, kind), 1 if _lower(text) else 0)
        for oid, text, kind in children
    ]
    query = SQL("SELECT v.oid FROM (VALUES {}) AS v (oid, bound, has) ORDER BY v.has, v.bound NULLS FIRST, v.oid")
    return [row[0] for row in conn.execute(query.format(SQL(", ").join(values))).fetchall()]


def _bound(text: str, kind: str) -> Any:
    lower = _lower(text)
    value = lower if isinstance(lower, str) else None
    return SQL("{}::" + kind.replace("{", "{{").replace("}", "}}")).format(Literal(value))  # as format_type gave it


def _lower(text: str) -> str | bool:
    """The first value of the lower bound; True where it is MINVALUE, False where it is no range."""
    node = tree.parse(f"CREATE TABLE x PARTITION OF y {text}")
    if node is None or not node.partbound.lowerdatums:
        return False
    first = tree.unwrap(node.partbound.lowerdatums[0])
    if tree.kind(first) == "A_Const":
        which = first.WhichOneof("val")
        return str(getattr(getattr(first, which), which))
    return True
