"""Which migrations a review is about, and on which target: ids, a git ref, what is pending, or all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pgyoyo.migrations import git, plan
from pgyoyo.review.review import Chain

if TYPE_CHECKING:
    from pgyoyo.migrations.migration import Folders
    from pgyoyo.migrator import Migrator


def by_files(folders: Folders, ids: Sequence[str], since: str | None) -> Chain:
    """The migrations with these ids, or changed since that ref, among those on disk; all of them without either.

    Raises UsageError for an id that is none, and where git can't tell.
    """
    order = plan.order(folders.migrations)
    known = [one.id for one in order]
    chosen = [plan.find(name, known) for name in ids] or known
    if since is not None:
        chosen = git.since(since, order)
    return Chain(order, sorted({known.index(name) for name in chosen}))


def pending(target: Migrator) -> Chain:
    """The pending migrations behind the applied ones, these as they were applied; reads only.

    Raises RollbackRefusedError where the text of an applied one is not known.
    """
    status = target.status()
    applied = [target.migration_of(row, status, as_applied=True) for row in status.applied]
    order = [*applied, *status.pending]
    return Chain(order, range(len(applied), len(order)))
