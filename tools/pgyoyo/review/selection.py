"""The migrations of a review: those with given ids, changed since a git ref, pending, or all."""

from collections.abc import Sequence
from dataclasses import replace

from pgyoyo.migrations import git, plan
from pgyoyo.migrations.migration import Folders
from pgyoyo.migrator import Migrator
from pgyoyo.review.review import Chain


def by_files(folders: Folders, ids: Sequence[str], since: str | None) -> Chain:
    """The migrations on disk with these ids, or changed since that ref; without either, all.

    Raises UsageError for an unknown id or ref, and outside a git repository.
    """
    order = plan.order(folders.migrations)
    known = [migration.id for migration in order]
    chosen = [plan.find(name, known) for name in ids] or known
    if since is not None:
        chosen = git.since(since, order)
    return Chain(order, sorted({known.index(name) for name in chosen}), release=since is not None)


def among_pending(target: Migrator, ids: Sequence[str]) -> Chain:
    """The migrations with these ids; if they are pending behind applied ones, all that are pending are one release."""
    chain = by_files(target.folders, ids, None)
    status = target.status()
    pending = {migration.id for migration in status.pending}
    named = {chain.migrations[i].id for i in chain.reviewed}
    if not status.applied or not named <= pending:
        return chain
    upto = enumerate(chain.migrations[: max(chain.reviewed) + 1])
    beside = [i for i, migration in upto if migration.id in pending - named]
    return replace(chain, release=True, beside=beside)


def pending(target: Migrator) -> Chain:
    """The pending migrations, after the applied ones as they were when they were applied. Read-only.

    Raises RollbackRefusedError if the text of an applied migration was not recorded.
    """
    status = target.status()
    applied = [target.migration_of(row, status, as_applied=True) for row in status.applied]
    order = [*applied, *status.pending]
    return Chain(order, range(len(applied), len(order)), release=bool(applied))
