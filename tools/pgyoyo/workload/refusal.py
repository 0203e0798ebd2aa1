"""Why a write fails since a migration."""

from dataclasses import dataclass

from pgyoyo.workload.guards import Table


@dataclass(frozen=True, slots=True)
class Refusal:
    """The reason as words after the statement; `certain`: whatever its parameters are. `about`: names in it."""

    words: str
    certain: bool
    about: frozenset[str]


def may_violate(what: str, table: Table, *names: str, certain: bool = False) -> Refusal:
    """What is refused by a constraint or an index of the table."""
    words = f"it {'violates' if certain else 'may violate'} {what}"
    return Refusal(words, certain, frozenset((table.name, *names)))
