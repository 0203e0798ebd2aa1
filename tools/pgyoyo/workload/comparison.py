"""What a change of the schema means for a statement of the release that is running: two descriptions compared."""

from enum import Enum

from pgyoyo.workload.description import Description, Refusal


class Effect(Enum):
    """What becomes of a statement that the schema before understands."""

    BREAKS = "the server does not understand the statement any more"
    COLUMNS = "the rows have other columns, so that a statement prepared before fails"
    PARAMETERS = "a parameter has another type"


def effects(before: Description | Refusal, after: Description | Refusal) -> frozenset[Effect]:
    """What the change does to the statement; nothing for one that was not understood before, since it can't be judged."""
    if isinstance(before, Refusal):
        return frozenset()
    if isinstance(after, Refusal):
        return frozenset((Effect.BREAKS,))
    changed = set()
    if before.columns != after.columns:
        changed.add(Effect.COLUMNS)
    if before.parameters != after.parameters:
        changed.add(Effect.PARAMETERS)
    return frozenset(changed)
