"""Which migrations a review is about, and on which target: ids, a git ref, what is pending, or all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pgyoyo import changed, plan
from pgyoyo.errors import UsageError
from pgyoyo.report import summary
from pgyoyo.review import Chain

if TYPE_CHECKING:
    from pgyoyo.migration import Folders
    from pgyoyo.migrator import Migrator


def by_files(folders: Folders, ids: Sequence[str], since: str | None) -> Chain:
    """The migrations with these ids, or changed since that ref, among those on disk; all of them without either.

    Raises UsageError for an id that is none, and where git can't tell.
    """
    order = plan.order(folders.migrations)
    known = [one.id for one in order]
    if since is not None:
        chosen = changed.since(since, order)
    else:
        chosen = [plan.find(name, known) for name in ids] or known
    return Chain(order, sorted({known.index(name) for name in chosen}))


def pending(one: Migrator) -> tuple[Chain, str]:
    """The pending migrations behind the applied ones, these as they were applied; and what to say where there are none.

    Reads only. Raises RollbackRefusedError where the text of an applied one is not known.
    """
    comparison, found = one.compare()
    applied = [one.migration_of(row, found, as_applied=True) for row in comparison.applied]
    order = [*applied, *comparison.pending]
    said = summary(len(applied), len(comparison.pending))
    return Chain(order, range(len(applied), len(order))), f"nothing to review: {said} Give ids: pgyoyo review ID"


def refuse_both(ids: Sequence[str], since: str | None) -> None:
    """Raises UsageError where ids and a ref are given."""
    if ids and since is not None:
        raise UsageError("give ids or --since: one of them")
