"""The places of rows in a table."""

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Places:
    """Places of rows in a table, a few bytes each: ten million of them fit."""

    _pages: dict[int, int] = field(default_factory=dict)

    def add(self, places: Iterable[str]) -> None:
        """Add places as PostgreSQL writes them, (page,row)."""
        for place in places:
            page, row = _numbers(place)
            self._pages[page] = self._pages.get(page, 0) | 1 << row

    def __contains__(self, place: str) -> bool:
        page, row = _numbers(place)
        return bool(self._pages.get(page, 0) >> row & 1)

    def __bool__(self) -> bool:
        return bool(self._pages)


def at(places: Iterable[str]) -> str:
    """The rows at these places, as a condition over {ctid}."""
    listed = ",".join(f'"{place}"' for place in places)
    return "{ctid} OPERATOR(pg_catalog.=) ANY ('{{" + listed + "}}'::pg_catalog.tid[])"


def _numbers(place: str) -> tuple[int, int]:
    page, _, row = place.strip("()").partition(",")
    return int(page), int(row)
