"""What the rules about the catalog share: the statement that a finding is about, and how its words are joined."""

from collections.abc import Callable, Iterator, Sequence

from pgyoyo.review.catalog_facts import Facts
from pgyoyo.review.commands import commands
from pgyoyo.review.evidence import Evidence, Hit
from pgyoyo.review.relation_names import bare_name
from pgyoyo.sql.tree import Node

Judged = Iterator[tuple[Evidence, Hit]]
Rule = Callable[[Sequence[Evidence], Facts], Judged]


def each_command(evidence: Sequence[Evidence]) -> Iterator[tuple[Evidence, Node]]:
    """Every command of a file with its statement."""
    return ((each, node) for each in evidence for node in commands(each.statement.sql))


def maker(evidence: Sequence[Evidence], name: str, kind: str = "") -> Evidence:
    """The first statement that changes the object (of this kind) or what belongs to it, else the first that names it."""
    for each in evidence:
        for change in each.statement.changes:
            words = change.identity.split(" on ")
            if (not kind or change.kind == kind) and any(f"{word}.".startswith(f"{name}.") for word in words):
                return each
    return next((each for each in evidence if bare_name(name) in each.asks.names), evidence[-1])


def listed(names: Sequence[str], most: int = 8) -> str:
    """The names without the schema public, with commas; of many the first."""
    shown = [name.removeprefix("public.") for name in names[:most]]
    return ", ".join(shown) + (f" and {len(names) - most} more" if len(names) > most else "")
