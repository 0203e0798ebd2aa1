"""What the library's calls return."""

from dataclasses import dataclass
from datetime import datetime

from pgyoyo.migrations import status as read


@dataclass(frozen=True, slots=True)
class AppliedMigration:
    """A row of the ledger: when (UTC), in how many milliseconds and by which role, each None where it is not recorded."""

    id: str
    at: datetime | None
    duration: float | None
    by: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """The migrations as files and ledger have them.

    `applied` is in the order of applying, the ids in the order of running: `edited` after they were applied, `missing` their
    file, `out_of_order` pending though a later one is applied.
    """

    applied: tuple[AppliedMigration, ...]
    pending: tuple[str, ...]
    edited: tuple[str, ...]
    missing: tuple[str, ...]
    out_of_order: tuple[str, ...]

    @property
    def is_at_head(self) -> bool:
        """Whether nothing is pending."""
        return not self.pending


@dataclass(frozen=True, slots=True)
class Applied:
    """What a run applied, by id, what it warned of, and the status after it."""

    ids: tuple[str, ...]
    warnings: tuple[str, ...]
    status: Status


@dataclass(frozen=True, slots=True)
class RolledBack:
    """What a run rolled back, by id in that order, what it warned of, and the status after it."""

    ids: tuple[str, ...]
    warnings: tuple[str, ...]
    status: Status


def status_of(status: read.Status) -> Status:
    """The same for callers: ids in the place of files."""
    return Status(
        applied=tuple(AppliedMigration(row.id, row.at, row.duration, row.by) for row in status.applied),
        pending=tuple(migration.id for migration in status.pending),
        edited=tuple(migration.id for migration in status.edited),
        missing=tuple(row.id for row in status.missing),
        out_of_order=tuple(migration.id for migration in status.out_of_order),
    )
