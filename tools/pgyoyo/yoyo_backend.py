"""yoyo's backend on one session: the only module that extends yoyo."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import Connection
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.migrations import default_migration_table

from pgyoyo import python_steps
from pgyoyo.backfill.pacing import Limits
from pgyoyo.engine import connection, ledger, ledger_tables, lock, records, retry, which_ledger
from pgyoyo.engine.blockers import Watcher
from pgyoyo.engine.entry import Entry
from pgyoyo.engine.observer import SILENT, Observer
from pgyoyo.errors import UsageError
from pgyoyo.executor import Executor
from pgyoyo.migrations.migration import Migration
from pgyoyo.migrations.reader import read_one
from pgyoyo.migrations.status import Ledger


class Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo ships no annotations
    """yoyo's PostgreSQL backend on one connection; also what `yoyo --database postgresql+pgyoyo://…` uses.

    Made from yoyo's DatabaseURI or from an open connection. `schema_name` is the ledger's, quoted where needed; all names
    of the ledger are qualified with it, so that no migration's search_path moves it; with `pinned` it is the one that is
    meant, whatever other ledgers the search_path has. Seconds for `give_up_after`;
    `watch` has a second session find out who is in the way.
    """

    def __init__(
        self,
        target: Any,
        migration_table: str = default_migration_table,
        *,
        schema: str | None = None,
        pinned: bool = False,
        observer: Observer = SILENT,
        give_up_after: float = retry.GIVE_UP_AFTER,
        limits: Limits | None = None,
        watch: bool = True,
    ) -> None:
        if isinstance(target, Connection) and migration_table == default_migration_table:
            migration_table = which_ledger.table_of(target)
        self._table = connection.check_table(migration_table)
        self.schema_name = schema
        self._pinned = pinned
        self.ledger = Ledger(schema, ())
        self._observer = observer
        self._give_up_after = give_up_after
        self._limits = limits or Limits()
        self._watcher = Watcher(enabled=watch)
        self._executor: Executor | None = None
        self._is_locked: bool = False
        # yoyo pickles its URI for a cache of what it learnt of the database.
        self._given = target if isinstance(target, Connection) else None
        super().__init__(None if self._given else target, migration_table)

    # --- what yoyo asks of a backend -------------------------------------------------------------------------------

    def connect(self, dburi: Any) -> Connection:
        """The open connection that was given, or one to yoyo's URI."""
        if self._given:
            return self._given
        args = {key: value for key, value in dburi.args.items() if key not in ("schema", "autocommit")}
        if dburi.args.get("schema"):
            args["options"] = (args.get("options", "") + f" -csearch_path={dburi.args['schema']}").strip()
        facts = {"user": dburi.username, "password": dburi.password, "host": dburi.hostname, "port": dburi.port}
        facts |= {"dbname": dburi.database} | args
        conninfo = psycopg.conninfo.make_conninfo("", **{k: v for k, v in facts.items() if v})
        return connection.connect(connection.Target(conninfo, self._table))

    def init_connection(self, connection: Connection) -> None:
        """Nothing: what a session needs is set by the executor."""

    def init_database(self) -> None:
        """Find the ledger; nothing is written, so that `yoyo list` needs no rights to."""
        if self.schema_name is None:
            self.schema_name = ledger.read(self.connection).schema
        self.has_transactional_ddl = True

    def __getattr__(self, name: str) -> Any:
        quoted = super().__getattr__(name)
        return f"{self.schema_name}.{quoted}" if self.schema_name and name.endswith("_table_quoted") else quoted

    def copy(self) -> Backend:
        """Itself: a second connection is how yoyo's ledger and schema come apart."""
        return self

    def ensure_internal_schema_updated(self) -> None:
        """Make yoyo's tables and ours where they are missing, in the pinned schema.

        Raises PgyoyoError when the role may not create them.
        """
        if self._executor is None:
            schema = self.schema_name = self.schema_name or ledger.current_schema(self.connection)
            ledger_tables.ensure_lock_table(self.connection, schema)
            ledger_tables.ensure(self.connection, schema)
            self._executor = self._new_executor()

    def make_ledger_alone(self) -> None:
        """Make the tables where they are missing, as ensure_internal_schema_updated, in a database that nobody else uses.

        That nobody put something in their way is not looked at then. Raises PgyoyoError when the role may not create them.
        """
        if self._executor is None:
            schema = self.schema_name
            if schema is None or not records.counted(self.connection, schema):
                schema = self.schema_name = schema or ledger.current_schema(self.connection)
                ledger_tables.make(self.connection, schema)
            self._executor = self._new_executor()

    @contextmanager
    def lock(self, timeout: float = 60.0) -> Iterator[None]:
        """Be the only runner: our advisory lock, then yoyo's row; `ledger` is there, as of now, when the block begins."""
        if self._is_locked:
            yield
            return
        schema = self.schema_name = self.schema_name or ledger.current_schema(self.connection)
        since = time.monotonic()
        entry = Entry(self.connection, schema, self._pinned)
        with (
            lock.hold(self.connection, schema, wait=timeout, say=self._observer.note, since=since) as held,
            lock.row(
                self.connection, schema, held, wait=timeout, say=self._observer.note, since=since, quickly=entry.attempt,
                prepare=lambda: ledger_tables.ensure_lock_table(self.connection, schema),
            ),
        ):  # fmt: skip
            self._watcher.know(self.connection, held.pid)
            # Not before: until we have the row, a plain yoyo may be at work.
            self.ledger = entry.ledger or ledger.read(self.connection, schema=schema)
            if entry.ledger is None or not self.ledger.has_own_tables:
                ledger_tables.ensure(self.connection, schema)
                self.ledger = replace(self.ledger, schema=schema, has_own_tables=True)
            self._executor = self._new_executor()
            self._executor.held = held
            self._executor.guarded = entry.guarded
            self._is_locked = True
            try:
                yield
            finally:
                self._is_locked = False
                self._watcher.close()

    def get_log_data(self, migration: Any = None, operation: str = "apply") -> dict[str, Any]:
        """yoyo's log row."""
        names = ("id", "migration_id", "migration_hash", "username", "hostname", "operation")
        values = records.log_data(migration, operation)
        return {name: values[name] for name in names} | {"created_at_utc": datetime.now(UTC).replace(tzinfo=None)}

    def apply_migrations_only(self, migrations: Any, force: bool = False) -> None:  # noqa: FBT001, FBT002 - yoyo's own
        """Apply each; a bad one stops the run, where yoyo would continue without it."""
        for migration in migrations:
            self.apply_one(migration, force)

    def rollback_migrations(self, migrations: Any, force: bool = False) -> None:  # noqa: FBT001, FBT002 - yoyo's own
        """Roll back each; a bad one stops the run."""
        for migration in migrations:
            self.rollback_one(migration, force)

    def apply_one(self, migration: Any, force: bool = False, mark: bool = True) -> None:  # noqa: FBT001, FBT002 - yoyo's
        """Apply one migration and record it, all or nothing.

        Raises StatementError for the server's refusal, UsageError for `force`: an error that is stepped over leaves
        nobody knowing what was done.
        """
        self.ensure_internal_schema_updated()
        ours = _ours(migration, force=force)
        if ours.apply.blocked and ours is not migration:
            python_steps.run(self, migration, ours, "apply", mark=mark)
        else:
            self.executor.run([ours], "apply", mark=mark)

    def rollback_one(self, migration: Any, force: bool = False) -> None:  # noqa: FBT001, FBT002 - yoyo's own
        """Roll back one migration and take it out of the ledger, all or nothing.

        Raises RollbackRefusedError where its file has nothing to run, else as apply_one.
        """
        self.ensure_internal_schema_updated()
        ours = _ours(migration, force=force)
        if ours.require_rollback().blocked and ours is not migration:
            python_steps.run(self, migration, ours, "rollback")
        else:
            self.executor.run([ours], "rollback")

    def transaction_is_open(self, *, yes: bool) -> None:
        """Let yoyo know whether a transaction is open that it did not begin."""
        self._in_transaction = yes

    # --- what yoyo has no word for ---------------------------------------------------------------------------------

    @property
    def executor(self) -> Executor:
        """What runs files on this session; before the ledger is there it can only compose."""
        if self._executor is None:
            self.schema_name = self.schema_name or ledger.current_schema(self.connection)
            return self._new_executor()
        return self._executor

    def _new_executor(self) -> Executor:
        assert self.schema_name
        return Executor(
            self.connection, self.schema_name, self._observer, self._give_up_after, self._limits, self._watcher
        )


def _ours(migration: Any, *, force: bool) -> Migration:
    """Our Migration for yoyo's own one, as the plain command passes it."""
    if force:
        raise UsageError("--force would record a migration as done whatever failed in it; fix the file instead")
    return migration if isinstance(migration, Migration) else read_one(Path(migration.path))
