"""A scratch database at one point of the migrations, and the sessions on it."""

from psycopg import Connection
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgyoyo.catalog import snapshot
from pgyoyo.catalog.snapshot import Snapshot
from pgyoyo.console import Console
from pgyoyo.engine import connection
from pgyoyo.migrations.migration import Migration
from pgyoyo.yoyo_backend import Backend

# What is lost in a power cut was never needed.
_OPTIONS = "-c synchronous_commit=off"


class Copy:
    """A scratch database, its catalog as far as it was read, and a session that migrations run on.

    `options` are settings that its sessions begin with, as libpq's option of that name takes them.
    """

    def __init__(self, conninfo: str, console: Console, schema: str | None, options: str = "") -> None:
        given = conninfo_to_dict(conninfo).get("options") or ""
        self.conninfo = make_conninfo(conninfo, options=f"{given} {_OPTIONS} {options}".strip())
        self.console = console
        self.tried: dict[str, str] = {}
        self.sparse = False
        self._snapshot: Snapshot | None = None
        self._reader: Connection | None = None
        self.open(schema)

    def open(self, schema: str | None) -> None:
        """A new session, whose ledger is in that schema."""
        self.conn = connection.connect(self.conninfo)
        self.backend = Backend(self.conn, schema=schema, observer=self.console)
        self.backend.executor.prepare()

    def reopen(self) -> None:
        """A new session in the place of the old one."""
        self._end_session()
        self.open(self.backend.schema_name)

    def close(self) -> None:
        """End the sessions; what was read of the catalog is kept."""
        self._end_session()
        if self._reader:
            self._reader.close()
            self._reader = None

    def _end_session(self) -> None:
        # The session that looks at who blocks the first one would keep the database from being cloned.
        self.backend.executor.watcher.close()
        self.conn.close()

    def run(self, migration: Migration, operation: str) -> None:
        """Apply or roll back as the commands do; raises MigrationError."""
        self.changed()
        self.backend.ensure_internal_schema_updated()
        try:
            self.backend.executor.run([migration], operation)
        finally:
            if self.conn.closed:
                self.reopen()
        self.renew_after(migration, operation)

    def renew_after(self, migration: Migration, operation: str) -> None:
        """A new session where the file may have changed what sessions begin with."""
        file = migration.apply if operation == "apply" else migration.rollback
        if file and file.may_change_defaults:
            self.reopen()

    def changed(self) -> None:
        """Forget what was read of the catalog: something else than `run` changes it."""
        self._snapshot = None

    def snapshot(self) -> Snapshot:
        """The catalog as it is now, no transaction being open; read by a session that keeps the plan of the long query."""
        if self._snapshot is None:
            if self._reader is None:
                self._reader = connection.connect(self.conninfo)
                self._reader.prepare_threshold = 0
            self._snapshot = snapshot.snapshot(self._reader)
        return self._snapshot
