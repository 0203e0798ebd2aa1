"""The query of catalog.sql without the sections that would give no row: planning all of them takes longer than the rest."""

import re
from functools import cache
from pathlib import Path

_CONDITION = re.compile(r"^ *-- only if: (.+)$", re.MULTILINE)
_CHOSEN = "  SELECT * FROM relation\n  WHERE true\n"
_SOME = _CHOSEN.replace("true", "oid = ANY (%s::oid[])")
# Of the sequences, those that are chosen or belong to what is.
_SEQUENCES = "d.refobjsubid > 0\n  WHERE true\n"
_SOME_SEQUENCES = _SEQUENCES.replace(
    "true", "r.oid IN (SELECT oid FROM chosen) OR d.refobjid IN (SELECT oid FROM chosen)"
)
_COLUMNS = "SELECT kind, identity, definition\n"


@cache
def conditions() -> bytes:
    """A query whose one row holds, for each condition of a section, whether it is true in the connection's database."""
    listed = ", ".join(dict.fromkeys(condition for section in _sections() for condition in _CONDITION.findall(section)))
    return f"SELECT {listed}".encode()


@cache
def compose(holds: tuple[bool, ...], *, some: bool = False) -> bytes:
    """The query without the sections whose condition does not hold, in the order of `conditions`.

    A fourth column is the OID of the relation that a row belongs to, or NULL. With `some`, a parameter lists the OIDs of the
    relations to read; what belongs to none is always read.
    """
    sections = _sections()
    names = dict.fromkeys(condition for section in sections for condition in _CONDITION.findall(section))
    false = {name for name, true in zip(names, holds, strict=True) if not true}
    text = "\n\n".join(section for section in sections if false.isdisjoint(_CONDITION.findall(section)))
    text = text.replace(_COLUMNS, _COLUMNS.replace("\n", ", relid\n"))
    # In a query with parameters a sign of per cent is written twice.
    if some:
        text = text.replace("%", "%%").replace(_CHOSEN, _SOME).replace(_SEQUENCES, _SOME_SEQUENCES)
    return text.encode()


@cache
def _sections() -> list[str]:
    return Path(__file__).with_name("catalog.sql").read_text().split("\n\n")
