"""Databases at one point of the migrations' history, and the proof of each migration, for the plugin's fixtures."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import pytest
from psycopg import Connection

from pgyoyo.console import Console
from pgyoyo.engine import connection
from pgyoyo.engine.renewal import Renewal
from pgyoyo.migrations import plan
from pgyoyo.migrations.migration import Folders, Migration
from pgyoyo.migrator import Migrator
from pgyoyo.prove import prover
from pgyoyo.prove.proof import Proof
from pgyoyo.scratch import databases
from pgyoyo.testing.clones import Clones


@dataclass(frozen=True)
class BeforeMigration:
    """A database migrated to just before one migration; `conn` is in autocommit mode.

    After a file behind which an older session may not behave as a new one does (ALTER ROLE … SET, another type of a column
    that a PL/pgSQL function knows), `conn` is a new one.
    """

    id: str
    url: str
    migrator: Migrator = field(repr=False)
    _roles: Callable[[Folders], AbstractContextManager[Folders]] = field(repr=False)

    @property
    def conn(self) -> Connection:
        """The connection that the migration runs on too; ask for it again after apply and rollback."""
        return self.migrator.conn

    def apply(self) -> None:
        """Apply that one; raises MigrationError."""
        with self._beside_templates():
            self.migrator.apply(target=self.id)
        self._renew("apply")

    def rollback(self) -> None:
        """Roll that one back; raises MigrationError and RollbackRefusedError."""
        with self._beside_templates():
            self.migrator.rollback(ids=[self.id])
        self._renew("rollback")

    @property
    def _migration(self) -> Migration:
        return next(m for m in self.migrator.folders.migrations if m.id == self.id)

    @contextmanager
    def _beside_templates(self) -> Iterator[None]:
        """While it runs, the migration neither makes nor drops roles that the server has for other databases."""
        folders = self.migrator.folders
        with self._roles(replace(folders, migrations=(self._migration,))) as here:
            changed = {migration.id: migration for migration in here.migrations}
            self.migrator.folders = replace(
                folders, migrations=tuple(changed.get(migration.id, migration) for migration in folders.migrations)
            )
            try:
                yield
            finally:
                self.migrator.folders = folders

    def _renew(self, operation: str) -> None:
        migration = self._migration
        file = migration.apply if operation == "apply" else migration.rollback
        if file and Renewal().is_needed(self.conn, file):
            self.conn.close()
            self.migrator.conn = connection.connect(self.url)


def before(name: str, folders: Folders, clone: Callable[[Folders], str], clones: Clones) -> BeforeMigration:
    """A clone migrated to just before the named migration, which the caller closes; raises UsageError."""
    # Hooks expect the whole schema.
    folders = replace(folders, hooks=())
    order = plan.order(folders.migrations)
    ids = [migration.id for migration in order]
    migration_id = plan.find(name, ids)
    earlier = replace(folders, migrations=tuple(order[: ids.index(migration_id)]))
    url = clone(earlier)
    migrator = Migrator(connection.connect(url), folders, Console(quiet=True))
    return BeforeMigration(migration_id, url, migrator, partial(clones.with_roles, clones.template(earlier)))


def ids(folders: Folders) -> list[str]:
    """The ids of the migrations, in the order of applying."""
    return [migration.id for migration in plan.order(folders.migrations)]


@contextmanager
def proofs(server: str, folders: Folders, shared: Sequence[Migration]) -> Iterator[Callable[[str], Proof]]:
    """Gives the proof of a migration, by id; it and all before it are proved by then, each once; `shared` stands before."""
    folders = replace(folders, migrations=(*shared, *folders.migrations))
    done: dict[str, Proof] = {}
    with databases.server(server) as admin:
        running = prover.prove(admin, folders, Console(quiet=True))
        yield lambda migration_id: _proof(migration_id, done, running)
        if isinstance(running, Generator):
            running.close()  # drops its databases


def _proof(migration_id: str, done: dict[str, Proof], running: Iterator[Proof]) -> Proof:
    while migration_id not in done:
        proof = next(running, None)
        if proof is None:
            pytest.fail("not proved: an earlier failure says why", pytrace=False)
        done[proof.id] = proof
    return done[migration_id]
