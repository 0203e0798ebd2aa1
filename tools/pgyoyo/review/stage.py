"""The two copies of a scratch database on which migrations are rehearsed, kept identical between migrations."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import psycopg
from psycopg import Connection

from pgyoyo.console import Console
from pgyoyo.engine import wire
from pgyoyo.engine.message import RESET
from pgyoyo.errors import MigrationError
from pgyoyo.migrations.migration import Migration
from pgyoyo.review.isolated import IsolatedCopy
from pgyoyo.review.observation import RelationNames
from pgyoyo.review.rehearsal import Rehearsal
from pgyoyo.review.sheet import FAILED
from pgyoyo.scratch import databases, present_roles, states
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.scratch.defaults import UTC, Defaults
from pgyoyo.scratch.states import After
from pgyoyo.sql import blocks, parser
from pgyoyo.sql.batched import RefusedError
from pgyoyo.sql.script import Script

# So that the planner scans a table only where no index can serve, however few rows it has.
_OPTIONS = "-c enable_seqscan=off -c enable_indexonlyscan=off -c jit=off"


class RehearsalDatabases:
    """Two scratch databases on the server of `admin`, dropped when the stack closes; their sessions begin with `defaults`.

    The migrations of `before` are applied to begin with; raises MigrationError. `release`: those that are rehearsed are
    applied together, so that nobody uses yet what an earlier one of them made. `roles`: those that the server
    had before, if files make roles.
    """

    def __init__(
        self,
        admin: Connection,
        console: Console,
        stack: ExitStack,
        defaults: Defaults = UTC,
        before: Sequence[Migration] = (),
    ) -> None:
        self.admin = admin
        self.console = console
        self._defaults = defaults
        self._stack = stack
        after = stack.enter_context(states.database_after(admin, before, console, defaults=defaults))
        self._length = after.length
        self.copy = ScratchDatabase(after.conninfo, console, after.schema, _OPTIONS, defaults)
        self.copy.sees_messages = after.sees_messages
        self._second_stack = stack.enter_context(ExitStack())
        stack.callback(self.copy.close)
        self._second: ScratchDatabase | None = None
        self._last: tuple[Rehearsal, int, int] | None = None
        self.release = False
        self.roles: present_roles.Roles = {}
        self._made: frozenset[str] = frozenset()

    def end_sessions(self) -> None:
        """End the sessions, and so what they hold of what all databases share; they begin again when they are used."""
        for copy in filter(None, (self.copy, self._second)):
            copy.close()

    def spare(self) -> After:
        """Another copy of the first database as it is to begin with, before anything else uses it; dropped with the stack."""
        self.copy.make_ready()
        self.copy.close()
        conninfo = self._stack.enter_context(databases.database(self.admin, template=self.copy.name))
        return After(self.copy.as_here(conninfo), self.copy.schema_name, self._length, self.copy.sees_messages)

    def apply_unreviewed(self, migration: Migration, *, of_release: bool = False) -> None:
        """Apply a migration that is not under review, though perhaps of the same release; raises MigrationError."""
        self._discard_second()
        names = RelationNames(self.copy.reader(), made=self._made) if of_release else None
        self.copy.run(migration, "apply")
        if names:
            names.look(self.copy.reader())
            self._made = names.made()

    def load(self, script: Script) -> psycopg.Error | None:
        """Run a file of sample rows in one transaction; the server's error, if it was rolled back."""
        self._discard_second()
        error = self._load(script)
        return self._load(script) if self.copy.adapt(error) else error

    def _load(self, script: Script) -> psycopg.Error | None:
        conn = self.copy.conn
        data = memoryview(script.data)
        tail = f"\n;\n{';'.join(RESET)};\nCOMMIT;\nANALYZE"
        text = b"BEGIN;\n" + script.sql + tail.encode()
        reply = wire.send(conn, text, [data[start:end] for start, end in script.copies])
        wire.clear(conn)
        self.copy.changed()
        return reply.error

    @contextmanager
    def clone(self) -> Iterator[ScratchDatabase]:
        """A copy of the first database as it is now, to do with as one likes; dropped afterwards."""
        schema = self.copy.schema_name
        self.copy.close()  # it begins again when it is used
        with databases.database(self.admin, template=self.copy.name) as conninfo:
            clone = ScratchDatabase(self.copy.as_here(conninfo), self.console, schema, _OPTIONS, self._defaults)
            clone.knows(self.copy)
            try:
                yield clone
            finally:
                clone.close()

    def refused_backfill(self, migration: Migration) -> RefusedError | None:
        """Why apply would not run a migration in batches, by the checks that apply itself makes; None if it would."""
        executor = self.copy.ready()
        try:
            executor.backfill(migration, executor.step(migration, "apply")).check()
        except RefusedError as refused:
            return refused
        except (MigrationError, psycopg.Error):
            self.copy.conn.rollback()  # what fails here fails in the rehearsal, with its place
        return None

    def rehearse(self, migration: Migration) -> Rehearsal:
        """Run a migration, statement by statement; what an error leaves behind is described at Rehearsal.run.

        One that fails for what the copies can be adapted to, and left nothing behind, is run again.
        """
        rehearsal = self._rehearse(migration)
        nothing_left = migration.apply.header.transactional or rehearsal.statements[0].state == FAILED
        if rehearsal.failed and nothing_left and self.copy.adapt(rehearsal.error):
            return self._rehearse(migration)
        return rehearsal

    def _rehearse(self, migration: Migration) -> Rehearsal:
        self.copy.make_ready()  # before it is copied
        alike = self._second is None
        second = self._identical()
        executor = self.copy.ready()
        last = self._since_the_last(second)
        isolated = IsolatedCopy(second, last.isolated.names.now if last else None, self._made, alike=alike)
        file = migration.apply
        script = blocks.unfolded(parser.parse(file.data, transactional=file.header.transactional))
        step = replace(executor.step(migration, "apply"), script=script)
        rehearsal = Rehearsal(self.copy, isolated, step, last, self._made)
        beside = present_roles.statements(file, self.roles).items()
        rehearsal.beside = {place: (text or "SELECT").encode() for place, text in beside}
        rehearsal.run()
        self.copy.changed()
        if rehearsal.failed or isolated.lost:
            self._discard_second()
        else:
            isolated.copy.renew_after(migration, "apply")
        if not rehearsal.failed:
            if not migration.apply.header.transactional:
                self.copy.backend.executor.record([migration], "mark")
            self.copy.renew_after(migration, "apply")
        if self.release and not rehearsal.failed:
            self._made = rehearsal.names.made()
        # Outside a transaction not all relations of the second copy are followed.
        if not rehearsal.failed and not isolated.lost and migration.apply.header.transactional:
            self._last = rehearsal, self.copy.changes, second.changes
        return rehearsal

    def _since_the_last(self, second: ScratchDatabase) -> Rehearsal | None:
        """The last rehearsal, if nothing else has changed the copies since."""
        last, self._last = self._last, None
        if last is None or last[0].isolated.copy is not second:
            return None
        return last[0] if last[1:] == (self.copy.changes, second.changes) else None

    def _identical(self) -> ScratchDatabase:
        """The second copy, cloned from the first if it was discarded."""
        if self._second is None:
            schema = self.copy.schema_name
            self.copy.close()  # it begins again when it is used
            conninfo = self._second_stack.enter_context(databases.database(self.admin, template=self.copy.name))
            self._second = ScratchDatabase(
                self.copy.as_here(conninfo), self.console, schema, _OPTIONS, self._defaults, catalog=self.copy.catalog
            )
            self._second.knows(self.copy)
            self._second_stack.callback(self._second.close)
        return self._second

    def _discard_second(self) -> None:
        """Drop the second copy, which is no longer identical to the first."""
        self._second = None
        self._second_stack.close()
