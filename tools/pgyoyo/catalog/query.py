"""The query of catalog.sql without the sections that would give no row: planning all of them takes longer than the rest."""

import re
from functools import cache
from pathlib import Path

_CONDITION = re.compile(r"^ *-- only if: (.+)$", re.MULTILINE)


@cache
def conditions() -> bytes:
    """A query whose one row holds, for each condition of a section, whether it is true in the connection's database."""
    listed = ", ".join(dict.fromkeys(condition for section in _sections() for condition in _CONDITION.findall(section)))
    return f"SELECT {listed}".encode()


@cache
def compose(holds: tuple[bool, ...]) -> bytes:
    """The query without the sections whose condition does not hold, in the order of `conditions`."""
    sections = _sections()
    names = dict.fromkeys(condition for section in sections for condition in _CONDITION.findall(section))
    false = {name for name, true in zip(names, holds, strict=True) if not true}
    return "\n\n".join(section for section in sections if false.isdisjoint(_CONDITION.findall(section))).encode()


@cache
def _sections() -> list[str]:
    return Path(__file__).with_name("catalog.sql").read_text().split("\n\n")
