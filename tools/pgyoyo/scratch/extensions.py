"""Whether the server for scratch databases can have the extensions that migrations need."""

from collections.abc import Iterable

from psycopg import Connection

from pgyoyo import extensions
from pgyoyo.migrations.migration import File, Migration
from pgyoyo.scratch import rights


def require(admin: Connection, migrations: Iterable[Migration], rollbacks_of: Iterable[Migration] = ()) -> None:
    """Raises ServerError where files create an extension that the embedded server lacks.

    Of `rollbacks_of` the rollbacks run, too. A server that was named for scratch databases judges for itself: it may have
    ways of its own to install an extension.
    """
    if rights.owner(admin) is not None:
        files: list[File | None] = [migration.apply for migration in migrations]
        files += [migration.rollback for migration in rollbacks_of]
        extensions.require(admin, files, "--scratch URL")
