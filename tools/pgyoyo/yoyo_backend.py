"""yoyo's backend, made safe: one session, one transaction and one message for a migration."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import Connection
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.migrations import default_migration_table
from yoyo.utils import change_param_style

from pgyoyo.backfill.pacing import Limits
from pgyoyo.engine import connection, failures, ledger, lock, retry, transaction
from pgyoyo.engine.ledger import Progress
from pgyoyo.engine.records import Records, log_data
from pgyoyo.engine.transaction import Message, Runner, Step
from pgyoyo.engine.wire import Outcome
from pgyoyo.errors import ConnectionLostError, PgyoyoError, UsageError
from pgyoyo.migrations.migration import Migration
from pgyoyo.migrations.reader import read_one
from pgyoyo.sql.script import plain

if TYPE_CHECKING:
    from pgyoyo.backfill.job import Backfill
    from pgyoyo.engine.stepwise import Journal


class Backend(PostgresqlPsycopgBackend):  # type: ignore[misc]  # yoyo ships no annotations
    """yoyo's PostgreSQL backend on one connection; also what `yoyo --database postgresql+pgyoyo://…` uses.

    Made from yoyo's DatabaseURI or from an open connection. `schema_name` is the ledger's, quoted where needed; all names
    of the ledger are qualified with it, so that no migration's search_path moves it.
    """

    def __init__(self, target: Any, migration_table: str = default_migration_table) -> None:
        if migration_table != default_migration_table:
            raise UsageError(f'the ledger is {default_migration_table} here; "{migration_table}" is not supported')
        self.schema_name: str | None = None
        self.say: Callable[[str], None] = lambda _: None
        self.progress: Callable[[float], None] = lambda _: None
        self.give_up_after = retry.GIVE_UP_AFTER
        self.limits = Limits()
        self.show: Callable[[Progress, str], None] = lambda _, __: None
        self._noted: list[str] | None = None
        self._records: Records | None = None
        self._ahead: tuple[object, list[Step], list[Message]] | None = None
        self._is_locked: bool = False
        self._internal_schema_updated: bool = False
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
        return connection.connect(psycopg.conninfo.make_conninfo("", **{k: v for k, v in facts.items() if v}))

    def init_connection(self, connection: Connection) -> None:
        """Nothing: a session's settings travel with each message."""

    def init_database(self) -> None:
        """Find the ledger; nothing is written, so that `yoyo list` needs no rights to."""
        self.schema_name = ledger.read(self.connection).schema
        self.has_transactional_ddl = True

    def __getattr__(self, name: str) -> Any:
        quoted = super().__getattr__(name)
        return f"{self.schema_name}.{quoted}" if self.schema_name and name.endswith("_table_quoted") else quoted

    def copy(self) -> Backend:
        """Itself: a second connection is how yoyo's ledger and schema come apart."""
        return self

    def execute(self, sql: str, params: Mapping[str, Any] | None = None) -> Any:
        """As yoyo's; while its statements are asked for, one is noted as a text and nothing is sent."""
        if self._noted is None:
            return super().execute(sql, params)
        text, _ = change_param_style(self.driver.paramstyle, sql, params)
        self._noted.append(text.replace("%(when)s", "{now}").replace("%(created_at_utc)s", "{now}"))
        return None

    def ensure_internal_schema_updated(self) -> None:
        """Make yoyo's tables and ours where they are missing, in the pinned schema; asks once.

        Raises PgyoyoError when the role may not.
        """
        if self._internal_schema_updated:
            return
        found = ledger.read(self.connection, schema=self._find_schema())
        assert self.schema_name
        ledger.refuse_a_second(self.connection, self.schema_name)
        if not found.has_own_tables:
            try:
                with self.transaction():
                    self.connection.execute(self.creation().encode())
            except psycopg.errors.InsufficientPrivilege as error:
                user = self.quote_identifier(self.connection.info.user)
                raise PgyoyoError(
                    f"the role {user} may not create the ledger in schema {self.schema_name}: "
                    f"{error.diag.message_primary}\n"
                    f"Let the schema's owner run: GRANT CREATE ON SCHEMA {self.schema_name} TO {user};"
                ) from None
        self._internal_schema_updated = True

    def pretend(self) -> None:
        """Take the ledger for made, so that what would be sent can be composed; nothing is written."""
        self._find_schema()
        self._internal_schema_updated = True

    def creation(self) -> str:
        """The statements that make yoyo's tables and ours."""
        assert self.schema_name
        return ledger.queries()["create"].replace("{schema}", self.schema_name)

    def _find_schema(self) -> str:
        """The ledger's schema, found once: where it stands, or where it is to be made."""
        if self.schema_name is None:
            self.schema_name = ledger.read(self.connection).schema or self._current_schema()
        return self.schema_name

    def _current_schema(self) -> str:
        row = self.connection.execute("SELECT quote_ident(current_schema()), current_setting('search_path')").fetchone()
        if row is None or row[0] is None:
            path = row[1] if row else ""
            raise PgyoyoError(f'no schema of the search_path ("{path}") exists, so the ledger has no place; create one')
        return str(row[0])

    @contextmanager
    def lock(self, timeout: float = 60.0) -> Iterator[None]:
        """Be the only runner: our advisory lock, then yoyo's row; the ledger is there when the block begins."""
        if self._is_locked:
            yield
            return
        with lock.hold(self.connection, self._find_schema(), wait=timeout, say=self.say):
            self.ensure_internal_schema_updated()
            with lock.row(self.connection, self._find_schema(), wait=timeout, say=self.say):
                self._is_locked = True
                try:
                    yield
                finally:
                    self._is_locked = False

    def get_log_data(self, migration: Any = None, operation: str = "apply") -> dict[str, Any]:
        """yoyo's log row."""
        return {**log_data(migration, operation), "created_at_utc": datetime.now(UTC).replace(tzinfo=None)}

    def apply_migrations_only(self, migrations: Any, force: bool = False) -> None:  # noqa: FBT001, FBT002 - yoyo's own
        """Apply each; a bad one stops the run, where yoyo would go on without it."""
        for one in migrations:
            self.apply_one(one, force)

    def rollback_migrations(self, migrations: Any, force: bool = False) -> None:  # noqa: FBT001, FBT002 - yoyo's own
        """Roll back each; a bad one stops the run."""
        for one in migrations:
            self.rollback_one(one, force)

    def apply_one(self, migration: Any, force: bool = False, mark: bool = True) -> None:  # noqa: FBT001, FBT002 - yoyo's
        """Apply one migration and record it, all or nothing.

        Raises StatementError for the server's refusal, UsageError for `force`: an error that is stepped over leaves
        nobody knowing what was done.
        """
        self.run([_ours(migration, force=force)], "apply", mark=mark)

    def rollback_one(self, migration: Any, force: bool = False) -> None:  # noqa: FBT001, FBT002 - yoyo's own
        """Roll back one migration and take it out of the ledger, all or nothing.

        Raises RollbackRefusedError where its file has nothing to run, else as apply_one.
        """
        self.run([_ours(migration, force=force)], "rollback")

    # --- how a file runs -------------------------------------------------------------------------------------------

    def step(self, one: Migration, operation: str, *, mark: bool = True, number: int = 0) -> Step:
        """A file of the migration with its records; sends nothing.

        `operation` is apply or rollback, `number` its place in the transaction. Raises RollbackRefusedError where there is
        nothing to roll back with.
        """
        file = one.apply if operation == "apply" else one.require_rollback()
        before, after = self.records.of(one, operation, mark=mark, number=number)
        script = plain(file.data) if file.header.transactional and not file.header.backfill else None
        if script is None:
            from pgyoyo.sql import parser  # noqa: PLC0415 - the parser's import is for files that need it

            script = parser.parse(file.data)
        return Step(file, script, before, after)

    def run(
        self, migrations: Sequence[Migration], operation: str, *, mark: bool = True, batched: bool = True,
        following: Sequence[Migration] = (), meanwhile: Callable[[], None] = lambda: None,
    ) -> list[Outcome]:  # fmt: skip
        """Apply or roll back the migrations in one transaction; one that is outside of transactions comes alone.

        So does a backfill, unless `batched` is off: then its UPDATE is a file's as any other. `following` is what will be
        run next in the same way: it is composed while the server is at work, and so is `meanwhile` called, once. Raises
        StatementError and ConnectionLostError.
        """
        self.ensure_internal_schema_updated()
        first = migrations[0]
        key = (migrations, operation, mark)
        ahead, self._ahead = self._ahead, None
        # Used once, since a log row has its own id.
        steps, ready = ahead[1:] if ahead and ahead[0] == key else (self._steps(*key), [])

        def sent() -> None:
            meanwhile()
            if following:
                with suppress(PgyoyoError):  # raised when its turn comes
                    self._ahead = self._composed((following, operation, mark))

        try:
            if steps[0].file.header.transactional and not (steps[0].file.header.backfill and mark and batched):
                one = self._runner()
                one.meanwhile = sent
                return one.transaction(steps, ready)
            meanwhile()
            work = self.backfill(first, steps[0]) if steps[0].file.header.backfill else self.journal(first, operation)
            return [work.run()]
        except ConnectionLostError as error:
            raise self._looked_up(error, first, operation, mark=mark) from None
        except psycopg.OperationalError as error:
            if not self.connection.closed:
                raise
            lost = ConnectionLostError(failures.server_words(error), done=None)
            raise self._looked_up(lost, first, operation, mark=mark) from None

    def _steps(self, migrations: Sequence[Migration], operation: str, mark: bool) -> list[Step]:  # noqa: FBT001 - as the key
        return [self.step(one, operation, mark=mark, number=number) for number, one in enumerate(migrations)]

    def _composed(self, key: tuple[Sequence[Migration], str, bool]) -> tuple[object, list[Step], list[Message]]:
        """The steps of a later run, and its messages as they will be sent."""
        steps = self._steps(*key)
        messages = transaction.messages(steps) if steps[0].file.header.transactional else []
        for message in messages:
            _ = message.encoded
        return key, steps, messages

    def _runner(self) -> Runner:
        assert self.schema_name
        return Runner(self.connection, self.schema_name, self.say, self.progress, self.give_up_after)

    def record(self, migrations: Sequence[Any], operation: str) -> None:
        """Write the ledger for migrations without running them, all or nothing; `operation` is mark or unmark."""
        self.ensure_internal_schema_updated()
        parts = ["BEGIN"]
        for number, one in enumerate(migrations):
            before, after = self.records.of(one, operation, number=number)
            parts += [*before, *after]
        self.connection.execute(";\n".join([*parts, "COMMIT"]).encode())

    def accept(self, migrations: Sequence[Migration], known: Container[str]) -> None:
        """Keep the texts and checksums of applied migrations as they are now, all or nothing.

        `known` are the hashes whose texts we have; the others were recorded by the plain yoyo.
        """
        texts = [self.records.accepted(one, known=one.hash in known) for one in migrations]
        self.connection.execute(";\n".join(["BEGIN", *texts, "COMMIT"]).encode())

    def journal(self, one: Migration, operation: str) -> Journal:
        """The journal of a migration outside of transactions, with what earlier runs noted."""
        from pgyoyo.engine.stepwise import Journal  # noqa: PLC0415 - for the files that need it

        found = ledger.read(self.connection, schema=self.schema_name)
        lines = {line.statement: line for line in found.journal if line.hash == one.hash}
        return Journal(self._runner(), one, self.step(one, operation), operation, lines)

    def backfill(self, one: Migration, step: Step) -> Backfill:
        """The backfill of a migration, with the limits of this run and those that its header has."""
        from pgyoyo.backfill.job import Backfill  # noqa: PLC0415 - for the files that need it

        said = one.apply.header.backfill
        assert said
        limits = replace(self.limits, triggers=said.triggers)
        if said.target:
            limits = replace(limits, target=said.target / 1000)
        return Backfill(self._runner(), one, step, limits, self.show)

    @property
    def records(self) -> Records:
        """What composes the statements that record a migration."""
        if self._records is None:
            assert self.schema_name
            self._records = Records(self.connection, self.schema_name, self._yoyos)
        return self._records

    def _yoyos(self, operation: str, mark: bool) -> Sequence[str]:  # noqa: FBT001 - as Records asks
        """The statements that yoyo has for an operation, its values left open."""
        self._noted = []
        try:
            stand_in = SimpleNamespace(id="", hash="")
            if mark:
                (self.mark_one if operation in ("apply", "mark") else self.unmark_one)(stand_in, log=False)
            self.log_migration(stand_in, operation)
            return self._noted
        finally:
            self._noted = None

    def _looked_up(
        self, error: ConnectionLostError, one: Migration, operation: str, *, mark: bool
    ) -> ConnectionLostError:
        """The same error with what a new session found in the ledger, where what ran is recorded there."""
        if not mark:
            return error
        conninfo = connection.again(self.connection.info)
        self.connection.close()
        assert self.schema_name
        try:
            applied = lock.found_after_loss(conninfo, self.schema_name, one.hash, self.say)
        except PgyoyoError as trouble:
            return ConnectionLostError(f"{error}\n{trouble}", done=None)
        return ConnectionLostError(str(error), done=applied == (operation == "apply"))


def _ours(migration: Any, *, force: bool) -> Migration:
    """Our Migration for yoyo's own one, as the plain command passes it."""
    if force:
        raise UsageError("--force would record a migration as done whatever failed in it; mend the file instead")
    return migration if isinstance(migration, Migration) else read_one(Path(migration.path))
