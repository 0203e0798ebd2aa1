"""A scratch database and its sessions, and the only way by which one reaches a point of the history."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress

import psycopg
from psycopg import Connection, errors, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgyoyo.catalog.facts import FactsReader
from pgyoyo.engine import connection
from pgyoyo.engine.observer import Observer
from pgyoyo.engine.renewal import Renewal
from pgyoyo.errors import MigrationError, StatementError
from pgyoyo.executor import Executor
from pgyoyo.migrations.migration import Migration
from pgyoyo.scratch import databases, lent, rights, row_maker, shared
from pgyoyo.scratch.defaults import NONE, Defaults
from pgyoyo.scratch.known_rows import KnownRows
from pgyoyo.scratch.readings import Readings
from pgyoyo.yoyo_backend import Backend

# A scratch database does not outlive a power cut, and the name of the ledger's schema is compared as it was read first.
_OPTIONS = "-c synchronous_commit=off -c quote_all_identifiers=off"


@contextmanager
def new(
    admin: Connection, observer: Observer, defaults: Defaults = NONE, shared: Sequence[Migration] = (),
    state: tuple[str, str | None] = ("template0", None),
) -> Iterator["ScratchDatabase"]:  # fmt: skip
    """An empty scratch database with those defaults, or a copy of `state`, which is a database and its ledger's schema.

    It is dropped at the end.
    `shared` is applied to its schema public before, with a ledger of its own there; raises MigrationError.
    """
    template, schema = state
    with lent.loan(admin, defaults.roles) as roles, databases.database(admin, template=template) as conninfo:
        if template == "template0":
            defaults.prepare(conninfo)
        if shared:
            with closing(ScratchDatabase(conninfo, observer, "public", "-c search_path=public")) as first:
                first.rebuild(shared)
        with closing(ScratchDatabase(conninfo, observer, schema, defaults=defaults)) as scratch:
            scratch.lent = roles
            scratch.sees_messages = None if shared or schema else False  # there is no code in it yet
            yield scratch


class ScratchDatabase(Readings):
    """A scratch database, its catalog as far as it was read, and a session that migrations run on.

    The ledger is made in `schema` (quoted where needed), else where `defaults` say, else in the first one of the search_path.
    `defaults` are what the sessions of another database begin with, here those of this one too, which was prepared for them;
    `options` come on top of them, as libpq's option of that name takes them. `given`: the schemas that it was prepared with,
    `lent`: the roles that the server was lent for it.
    `catalog` is the reader of a copy of it, or of what it is a copy of, if there is one.
    """

    def __init__(
        self,
        conninfo: str,
        observer: Observer,
        schema: str | None = None,
        options: str = "",
        defaults: Defaults = NONE,
        catalog: FactsReader | None = None,
    ) -> None:
        given = str(conninfo_to_dict(conninfo).get("options") or "")
        options = " ".join([given, _OPTIONS, defaults.options, options]).strip()
        super().__init__(make_conninfo(conninfo, options=options), catalog)
        self.observer = observer
        self.tried: dict[str, str] = {}
        self.sparse = False
        self.edges = row_maker.EDGES
        self.known_rows: dict[str, KnownRows] = {}
        self.sees_messages: bool | None = None
        self._defaults = defaults
        self.given = defaults.schemas
        self.lent = frozenset[str]()
        self._renewal = Renewal()
        self._schema = schema or defaults.ledger
        self._conn: Connection | None = None
        self._backend: Backend | None = None

    @property
    def backend(self) -> Backend:
        """The backend of the session that migrations run on, which begins when it is first used."""
        if self._backend is None:
            self.open(self._schema)
        assert self._backend
        return self._backend

    @property
    def conn(self) -> Connection:
        """That session."""
        if self._conn is None:
            self.open(self._schema)
        assert self._conn
        return self._conn

    @property
    def schema_name(self) -> str:
        """The schema of the ledger, quoted where needed."""
        if self._backend is None and self._schema:
            return self._schema
        return str(self.backend.schema_name)

    @property
    def name(self) -> str:
        """The database's name."""
        return str(conninfo_to_dict(self.conninfo)["dbname"])

    def open(self, schema: str | None) -> None:
        """A new session, whose ledger is in that schema."""
        self._conn = connection.connect(self.conninfo)
        self._backend = Backend(self._conn, schema=schema, observer=self.observer, watch=False)
        self._backend.executor.prepare()

    def reopen(self) -> None:
        """A new session in the place of the old one."""
        self._end_session()
        self.open(self._schema)

    def close(self) -> None:
        """End the sessions, until they are used again; what was read of the catalog is kept."""
        self._end_session()
        self.end_reader()

    def knows(self, original: "ScratchDatabase") -> None:
        """Take over what is known of the database that this one is a copy of.

        Which rows tables take, each learns from the other from then on.
        """
        self.known_rows = original.known_rows
        self.sees_messages = original.sees_messages

    def _end_session(self) -> None:
        if self._conn is None or self._backend is None:
            return
        executor = self._backend.executor
        self.sees_messages = self.sees_messages if executor.sees_messages is None else executor.sees_messages
        shared.note_transactions(self._conn, executor.schema)
        connection.end(self._conn)
        self._schema, self._conn, self._backend = self._backend.schema_name, None, None

    def make_ready(self) -> None:
        """As `ready`; without a session where the database is known to be so."""
        if self._backend or self.sees_messages is None or not self._schema:
            self.ready()

    def ready(self) -> Executor:
        """What runs files here, with what is known of the database; the ledger is made where it is missing."""
        self.backend.make_ledger_alone()
        self.look_for_code()
        return self.backend.executor

    def look_for_code(self) -> None:
        """Ask the server, once, whether code that is in the database can see messages; copies need not ask again then."""
        executor = self.backend.executor
        executor.sees_messages = self.sees_messages if executor.sees_messages is None else executor.sees_messages
        executor.look_for_code()
        self.sees_messages = executor.sees_messages

    def rebuild(self, order: Sequence[Migration], *, hooks: Sequence[Migration] = ()) -> None:
        """Apply the migrations one after the other, then run the hooks; raises MigrationError."""
        for _ in self.rebuilding(order, hooks=hooks):
            pass

    def rebuilding(
        self, order: Sequence[Migration], *, hooks: Sequence[Migration] = (), broken: dict[str, str] | None = None
    ) -> Iterator[Migration]:
        """As `rebuild`, each migration as soon as it is applied; hooks run before the last one is given.

        With `broken`, a migration that can't be applied, or depends on one that can't be, is left out and noted there with
        the reason.
        """
        for number, migration in enumerate(order, start=1):
            if broken is None:
                self.run(migration, "apply")
            elif migration.id in broken or any(name in broken for name in migration.depends):
                broken.setdefault(migration.id, "it depends on one that can't be applied")
                continue
            else:
                try:
                    self.run(migration, "apply")
                except MigrationError as error:
                    broken[migration.id] = error.words
                    continue
            for hook in hooks if number == len(order) else ():
                self.run(hook, "apply", mark=False)
            yield migration

    def run(self, migration: Migration, operation: str, *, mark: bool = True) -> None:
        """Apply or roll back as the commands do, a hook without `mark`; raises MigrationError."""
        self.changed()
        try:
            self._run(migration, operation, mark=mark)
        except StatementError as error:
            if not self.adapt(error):
                raise
            self._run(migration, operation, mark=mark)
        self.renew_after(migration, operation)

    def _run(self, migration: Migration, operation: str, *, mark: bool) -> None:
        executor = self.ready()
        try:
            executor.run([migration], operation, mark=mark)
        finally:
            if self.conn.closed:
                self.reopen()

    def adapt(self, error: Exception | None) -> bool:
        """Whether a file that failed, and left nothing behind, may do better now.

        One that lacks a superuser's rights has them from now on, in a new session; for one that creates a schema of the
        search_path, in a way that its text does not show, that schema is dropped.
        """
        return self._raise_rights(error) or self._give_way(error)

    def drop_given(self, name: str) -> None:
        """Drop a schema that the database was prepared with, unless it holds something by now."""
        with suppress(psycopg.Error):  # it is not empty, or not there
            self.conn.execute(sql.SQL("DROP SCHEMA {}").format(sql.Identifier(name)))
            self.given = tuple(each for each in self.given if each != name)

    def given_notes(self) -> list[str]:
        """What there is in the database that no migration made, in words."""
        words = "was created empty: the search_path names it, and no migration creates it"
        return [f"schema {name} {words}" for name in self.given]

    def _give_way(self, error: Exception | None) -> bool:
        cause = error.server_error if isinstance(error, StatementError) else error
        if not self.given or not isinstance(cause, errors.DuplicateSchema):
            return False
        given, words = self.given, cause.diag.message_primary or ""
        for name in [name for name in given if f'"{name}"' in words] or given:
            self.drop_given(name)
        return self.given != given

    def _raise_rights(self, error: Exception | None) -> bool:
        if not rights.are_lacking(error, self.conninfo):
            return False
        self.close()
        self.conninfo = rights.raised(self.conninfo)
        return True

    def as_here(self, conninfo: str) -> str:
        """The conninfo of a copy of this database, with the rights that files have here."""
        return make_conninfo(conninfo, user=conninfo_to_dict(self.conninfo).get("user"))

    def renew_after(self, migration: Migration, operation: str) -> None:
        """A new session where the old one may not behave as one that begins now."""
        file = migration.apply if operation == "apply" else migration.rollback
        if file and self._renewal.is_needed(self.conn, file):
            if file.may_change_defaults:
                self._defaults.set_after(self.conn, migration.id, operation)
            self.reopen()
