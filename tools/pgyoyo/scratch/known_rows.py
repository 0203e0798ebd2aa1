"""The rows that an empty table took, to be written at once where a copy of its database is filled."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

Values = tuple[str | None, ...]


class _Part(NamedTuple):
    """The values of columns that get them together; those of a foreign key as the number of a row among those there are."""

    columns: tuple[str, ...]
    values: Values | None
    number: int = 0
    of: int | None = None


@dataclass(slots=True)
class KnownRows:
    """Rows in the order of writing. Values of foreign keys are kept by their place: the keys may be others in a copy."""

    columns: list[str] = field(default_factory=list)
    rows: list[list[_Part]] = field(default_factory=list)

    def add(self, columns: list[str], parts: Iterable[tuple[tuple[str, ...], Values, Sequence[Values] | None]]) -> None:
        """Keep a row that was taken: for each part its columns, values and, of a foreign key, what it could point to."""
        self.columns = columns
        self.rows.append([_part(*part) for part in parts])

    def texts(self, keys: Callable[[tuple[str, ...]], Sequence[Values]]) -> list[list[str | None]] | None:
        """The rows' values in the order of `columns`, with what the foreign keys of a copy can point to.

        None where that is another number of rows than it was.
        """
        texts = []
        for row in self.rows:
            values: dict[str, str | None] = {}
            for part in row:
                there = keys(part.columns) if part.of is not None else ()
                if part.of is not None and len(there) != part.of:
                    return None
                chosen = there[part.number] if part.values is None else part.values
                values |= zip(part.columns, chosen, strict=True)
            texts.append([values[name] for name in self.columns])
        return texts


def _part(columns: tuple[str, ...], values: Values, keys: Sequence[Values] | None) -> _Part:
    if keys is None:
        return _Part(columns, values)
    return (
        _Part(columns, None, keys.index(values), len(keys)) if values in keys else _Part(columns, values, 0, len(keys))
    )
