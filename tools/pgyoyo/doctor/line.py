"""A line of what doctor says."""

from collections.abc import Iterable
from typing import Literal, NamedTuple

Level = Literal["ok", "note", "warning", "fault"]


class Line(NamedTuple):
    """What was seen about a topic, and what to do; a fault stops a command, a warning is worth a look."""

    level: Level
    topic: str
    text: str
    advice: str = ""

    def __str__(self) -> str:
        first, *rest = f"{self.text}{f'; {self.advice}' if self.advice else ''}".splitlines()
        return "\n".join([f"{self.level:<9}{self.topic:<12}{first}", *(" " * 21 + line for line in rest)])


def has_fault(lines: Iterable[Line]) -> bool:
    """Whether one of the lines stops a command."""
    return any(line.level == "fault" for line in lines)
