"""The foreign keys that refer to a table whose rows are deleted."""

from collections.abc import Sequence
from dataclasses import replace

from psycopg import Connection

from pgyoyo.backfill.plans import SMALL
from pgyoyo.backfill.tables import Targets, rows
from pgyoyo.sql.batched import RefusedError
from pgyoyo.units import size_words

_CASCADES = {"c": "deletes", "n": "sets to NULL", "d": "sets to its default"}


def with_references(conn: Connection, targets: Targets) -> Targets:
    """The targets of a DELETE with the tables whose rows go with theirs; raises RefusedError where one that refers to them
    would be read whole for each row.
    """
    if targets.slice.VERB != "delete":
        return targets
    findings, cascades = list(targets.findings), set[int]()
    todo: Sequence[int] = targets.reached
    seen = set(todo)
    while todo:
        following: list[int] = []
        for oid, name, action, columns, size, indexed in rows(conn, "references", {"tables": list(todo)}):
            if not indexed and size > SMALL:
                raise RefusedError(
                    targets.slice.line, f"can't run in batches: the foreign key of {name} ({', '.join(columns)}) has "
                    f"no index, so each deleted row would read all of its {size_words(size)}")  # fmt: skip
            if action in _CASCADES:
                cascades.add(oid)
                findings.append(f"a foreign key {_CASCADES[action]} the rows of {name} that refer to it")
            if action == "c" and oid not in seen:
                following.append(oid)
            seen.add(oid)
        todo = following
    leaves = [oid for (oid,) in rows(conn, "leaves", {"tables": sorted(cascades)})] if cascades else []
    return replace(targets, findings=tuple(findings), cascades=tuple(sorted(leaves)))
