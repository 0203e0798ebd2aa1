"""The rule about functions, types and other objects without rows that are dropped while clients may still use them."""

import re
from collections.abc import Sequence

from pgyoyo.catalog.snapshot import Change
from pgyoyo.review.catalog_facts import Facts
from pgyoyo.review.evidence import Evidence
from pgyoyo.review.judging import Judged
from pgyoyo.review.relation_names import bare_name
from pgyoyo.review.rules_drops import GROUPS, named_in_drop
from pgyoyo.review.rules_names import in_bodies

_FUNCTIONS = ("function", "procedure", "aggregate")
_KINDS = (*_FUNCTIONS, "type", "domain", "schema", "extension", "operator", "collation", "text search configuration")
# Nobody calls it by its name but the trigger, which has to go first.
_OF_TRIGGER = re.compile(r"\n RETURNS (?:trigger|event_trigger)\n")


def dropped_objects(evidence: Sequence[Evidence], facts: Facts) -> Judged:
    """Objects that a statement names and drops, unless the file made them, or makes others that are found in their place."""
    made = [change for each in evidence for change in each.statement.changes if change.before is None]
    for each in evidence:
        named = set(named_in_drop(each))
        earlier = {(change.kind, change.identity) for before in each.before for change in before.statement.changes
                   if change.before is None}  # fmt: skip
        for change in each.statement.changes:
            name = bare_name(change.identity.split("(", maxsplit=1)[0])
            if change.after is not None or change.kind not in _KINDS or (change.kind, change.identity) in earlier:
                continue
            if (GROUPS.get(change.kind, change.kind), name) not in named or _OF_TRIGGER.search(change.before or ""):
                continue
            if not any(_takes_its_place(new, change) for new in made):
                what = f"{change.kind} {change.identity} is dropped{in_bodies(name, facts, 'have its name')}"
                yield each, ("drop-object", what, None)


def _takes_its_place(new: Change, gone: Change) -> bool:
    """Whether a call of the one that is gone finds the new one: of a function it may have more arguments, with defaults."""
    if GROUPS.get(new.kind, new.kind) != GROUPS.get(gone.kind, gone.kind):
        return False
    if "procedure" in (new.kind, gone.kind) and new.kind != gone.kind:
        return False  # CALL finds no function, and SELECT no procedure
    if new.identity == gone.identity or gone.kind not in _FUNCTIONS:
        return new.identity == gone.identity
    first = (new.after or "").split("\n", maxsplit=1)[0]
    start = gone.identity.removesuffix(")")
    count = 0 if start.endswith("(") else start.count(",") + 1
    # Those up to the first that has a default: all after it have one.
    named = [each for each in first.partition(" DEFAULT ")[0].split(", ") if not each.startswith("OUT ")]
    needed = len(named) - 1 if " DEFAULT " in first else count + 1
    return needed <= count and new.identity.startswith(f"{start}," if count else start)


OBJECTS = (dropped_objects,)
