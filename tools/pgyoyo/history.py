"""What is applied in a database, beside the files that are here: the migration that a name or a row of the ledger means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pgyoyo import preflight
from pgyoyo.engine import ledger
from pgyoyo.errors import UsageError
from pgyoyo.migrations import plan
from pgyoyo.migrations.reader import from_texts

if TYPE_CHECKING:
    from psycopg import Connection

    from pgyoyo.migrations.migration import Folders, Migration
    from pgyoyo.migrations.status import Applied, Status


@dataclass(slots=True)
class History:
    """One database and one set of folders."""

    conn: Connection
    folders: Folders

    def find_applied(self, name: str, status: Status) -> str:
        """The applied id that `name` means; raises UsageError."""
        applied = [row.id for row in status.applied]
        try:
            return plan.find(name, applied)
        except UsageError as error:
            try:
                here = plan.find(name, [m.id for m in self.folders.migrations])
            except UsageError:
                raise error from None
            if here in applied:  # and so is another one that fits
                raise
            raise UsageError(f"{here} is not applied; `pgyoyo status` shows what is") from None

    def migration_of(self, row: Applied, status: Status, *, as_applied: bool = False) -> Migration:
        """The migration of a ledger row: from its file, or from the stored text where the file is gone.

        `as_applied` takes the stored text also where the file was edited since. Raises RollbackRefusedError where the
        text is not known.
        """
        for migration in self.folders.migrations:
            if migration.hash == row.hash and not (as_applied and plan.is_edited(migration, row)):
                return migration
        assert status.schema
        texts = ledger.texts(self.conn, status.schema, row.hash) if row.checksum else None
        if not texts or texts[0] is None:
            raise preflight.textless(row, self.folders.migrations)
        return from_texts(row.id, texts[0], texts[1])

    def depends(self, status: Status) -> Mapping[str, Sequence[str]]:
        """What each migration depends on, by id; of one whose file is gone, as it was when it was applied."""
        here = {m.id: m.depends for m in self.folders.migrations}
        return here | {row.id: self.migration_of(row, status).depends for row in status.missing if row.checksum}
