"""Ranges: of what a statement will take on the target's tables, and of how long others wait for it."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A range of numbers."""

    low: float
    high: float

    def __add__(self, more: "Span") -> "Span":
        return Span(self.low + more.low, self.high + more.high)

    def __mul__(self, times: float) -> "Span":
        return Span(self.low * times, self.high * times)


def total(spans: Iterable[Span]) -> Span:
    """Their sum."""
    return sum(spans, Span(0, 0))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a statement will take on the target's tables: seconds, bytes written, and bytes of disk room.

    `rows` are those of the biggest table that it works on.
    """

    seconds: Span
    written: Span
    room: int
    rows: int


@dataclass(frozen=True, slots=True)
class Wait:
    """How many seconds reads and writes, or writes, of a table have to wait for a migration."""

    table: str
    blocked: str
    seconds: Span
