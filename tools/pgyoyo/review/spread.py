"""The tables of the members of a fleet as those of one database: the largest, with the median and the sum. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pgyoyo.review.sheet import LiveTable, Spread


@dataclass(slots=True)
class _Sizes:
    """A table as far as it was seen: 16 bytes for each member that has it."""

    largest: LiveTable
    where: str
    rows: array[int] = field(default_factory=lambda: array("q"))
    sizes: array[int] = field(default_factory=lambda: array("q"))
    members: int = 0


class Tables:
    """Collects the tables of members."""

    def __init__(self) -> None:
        self._sizes: dict[str, _Sizes] = {}

    def add(self, member: str, tables: Mapping[str, LiveTable]) -> None:
        """Count the tables of a member, by the names under which those of all members go."""
        for name, table in tables.items():
            known = self._sizes.setdefault(name, _Sizes(table, member))
            known.members += 1
            if _weight(table) > _weight(known.largest):
                known.largest, known.where = table, member
            if table.rows is not None:
                known.rows.append(table.rows)
            if table.size is not None:
                known.sizes.append(table.size)

    def largest(self) -> dict[str, LiveTable]:
        """The largest of each table, with how it is spread."""
        return {name: replace(each.largest, fleet=_spread(each)) for name, each in sorted(self._sizes.items())}


def _weight(table: LiveTable) -> tuple[int, int]:
    return (table.size or 0) + (table.index_size or 0), table.rows or 0


def _median(values: array[int]) -> int | None:
    return sorted(values)[(len(values) - 1) // 2] if values else None


def _spread(table: _Sizes) -> Spread:
    rows, sizes = table.rows, table.sizes
    return Spread(
        table.members, table.where, _median(rows), _median(sizes),
        sum(rows) if rows else None, sum(sizes) if sizes else None,
    )  # fmt: skip
