"""A scratch database after all migrations, and which of them made or changed each thing: the catalog is read after each.

A reading takes longer than a small migration. So several databases go up a long history side by side, and each reads the
catalog in some blocks of it only: those that no other had begun when it came there.
"""

import json
import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from threading import Event

import psycopg
from psycopg import Connection

from pgyoyo.catalog import query
from pgyoyo.catalog.snapshot import Snapshot
from pgyoyo.console import Console
from pgyoyo.engine.failures import next_step
from pgyoyo.engine.observer import Silent
from pgyoyo.errors import MigrationError, PgyoyoError, StatementError
from pgyoyo.migrations import checks, plan
from pgyoyo.migrations.migration import Folders, Migration
from pgyoyo.schema.page import Key
from pgyoyo.scratch import shared
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.scratch.defaults import NONE, Defaults
from pgyoyo.scratch.noted import Start

# With more of them our own side, which is one process, would be the slowest.
MOST = 4
# Fewer migrations are not worth a database of their own.
WORTH_A_DATABASE = 50
# So many in a row are read in one database.
_BLOCK = 20

Made = dict[Key, list[str]]


@contextmanager
def rebuilt(
    admin: Connection, folders: Folders, console: Console, defaults: Defaults = NONE, *, count: int | None = None
) -> Iterator[tuple[ScratchDatabase, Made]]:
    """The database after all migrations and the hooks, and for each thing in it the ids of those that made or changed it.

    A thing that went and came again begins anew. What hooks do counts to the last migration. `count` is how many databases to
    use, by default as many as are worth it. Raises MigrationError.
    """
    order = plan.order(folders.migrations)
    checks.scripts((*order, *folders.hooks))
    with ExitStack() as stack:
        try:
            try:
                rebuilding = _rebuild(stack, Start(admin, order, defaults), order, console, count)
            except (_StaleError, psycopg.errors.InvalidCatalogName):
                rebuilding = _rebuild(stack, Start(admin, order, defaults, kept=False), order, console, count)
            scratch = rebuilding.last
            for hook in folders.hooks if order else ():
                scratch.run(hook, "apply", mark=False)
            if folders.hooks and order:
                rebuilding.read(order[-1], scratch)
        except MigrationError as error:
            step = next_step(error) if isinstance(error, StatementError) else "Fix the file"
            error.state = f"Nothing was written. {f'{step}, then run' if step else 'Run'} pgyoyo schema again."
            raise
        yield scratch, rebuilding.made()


class _StaleError(Exception):
    """A state's notes are not of this version."""


class _StoppedError(Exception):
    """Another database met an error, or a signal came."""


class _Stoppable(Silent):
    """The observer of databases that go up at once: when it is stopped, what runs in them is cancelled."""

    def __init__(self) -> None:
        self.stopped = Event()

    def progress(self, what: str, elapsed: float, phase: str = "") -> None:  # noqa: ARG002 - an Observer's
        """Called about every 50 ms while the server is at work on a file."""
        self.check()

    def check(self) -> None:
        """Raises _StoppedError when it is stopped."""
        if self.stopped.is_set():
            raise _StoppedError


class Rebuilding:
    """Migrations on their way into one database or several, each with a thread of its own, and what was read after each."""

    def __init__(self, start: Start, order: Sequence[Migration]) -> None:
        self._start = start
        self._order = order[start.length :]
        self.observer = _Stoppable()
        self._readers: dict[int, ScratchDatabase] = {}
        self._before: Collection[Key] = ()
        # What was made before the start.
        self._made: Made = {}
        # What each migration made or changed, and what it dropped; two for the last one, where there are hooks.
        self._changes: dict[str, list[tuple[list[Key], set[Key]]]] = {migration.id: [] for migration in order}

    def go(self, scratch: ScratchDatabase) -> None:
        """Apply the migrations there, and read what no other database reads; up to the end only where that is to be read."""
        reads = self._begins(scratch, 0)
        made: Made = {}
        if self._start.length:
            made, scratch.given = _from_notes(self._start.notes(scratch))
        if reads:
            self._made = made
            self._before = {*scratch.read_changes().latest}
        for number, migration in enumerate(scratch.rebuilding(self._order), start=1):
            self.observer.check()
            if reads:
                self.read(migration, scratch)
            block, within = divmod(number, _BLOCK)
            if within == 0 and number < len(self._order):
                begins = self._begins(scratch, block)
                if begins and not reads:
                    scratch.read_changes()
                elif not begins and self._last_block in self._readers:
                    return
                reads = begins

    def read(self, migration: Migration, scratch: ScratchDatabase) -> None:
        """Read the catalog, which is as this migration left it."""
        catalog = scratch.read_changes()
        changed = [*_changed(catalog.latest, catalog.changed)]
        self._changes[migration.id].append((changed, catalog.changed - catalog.latest.keys()))

    @property
    def last(self) -> ScratchDatabase:
        """The database that has all of them."""
        return self._readers[self._last_block]

    def made(self) -> Made:
        """For each thing that the migrations made, the ids of those that did, or changed it, in order."""
        made = {key: [*ids] for key, ids in self._made.items()}
        for name, readings in self._changes.items():
            for changed, gone in readings:
                for key in changed:
                    if (ids := made.setdefault(key, []))[-1:] != [name]:
                        ids.append(name)
                for key in gone:
                    made.pop(key, None)
        return made

    def keep(self) -> None:
        """Keep the last database for later runs, if it is worth it."""
        self._start.keep(self.last, _to_notes(self.made(), self.last.given))

    def is_whole(self) -> bool:
        """Whether the last database is what the others were to become, as far as there is nothing of unknown origin in it."""
        return self.last.catalog.latest.keys() <= self.made().keys() | self._before

    @property
    def _last_block(self) -> int:
        return max(len(self._order) - 1, 0) // _BLOCK

    def _begins(self, scratch: ScratchDatabase, block: int) -> bool:
        """Whether that database is the first to come to a block."""
        return self._readers.setdefault(block, scratch) is scratch


def _rebuild(
    stack: ExitStack, start: Start, order: Sequence[Migration], console: Console, count: int | None
) -> Rebuilding:
    """All of the migrations applied, in databases that last as long as the stack, and the state kept; no hook yet."""
    rest = order[start.length :]
    usual = max(1, min(MOST, _processors(), len(rest) // WORTH_A_DATABASE))
    count = 1 if shared.reaches_out(rest) else count or usual
    rebuilding = _side_by_side(stack, start, order, console, count) if count > 1 else None
    if rebuilding is None:
        rebuilding = Rebuilding(start, order)
        rebuilding.go(stack.enter_context(start.new(rebuilding.observer)))
    rebuilding.keep()
    return rebuilding


def _side_by_side(
    stack: ExitStack, start: Start, order: Sequence[Migration], console: Console, count: int
) -> Rebuilding | None:
    """Rebuilt in so many databases; None where they get into each other's way.

    Raises MigrationError for what fails alone, too.
    """
    rebuilding = Rebuilding(start, order)
    try:
        with ExitStack() as here:
            # Before the next try.
            here.enter_context(shared.restored(start.admin, order, console))
            databases = [here.enter_context(start.new(rebuilding.observer)) for _ in range(count)]
            with ThreadPoolExecutor(count, "pgyoyo-schema") as pool:
                tasks = [pool.submit(rebuilding.go, scratch) for scratch in databases]
                try:
                    for task in wait(tasks, return_when=FIRST_EXCEPTION).done:
                        task.result()
                except BaseException:
                    rebuilding.observer.stopped.set()
                    raise
            if rebuilding.is_whole():
                stack.push(here.pop_all())
                return rebuilding
    except MigrationError:
        with shared.restored(start.admin, order, console), start.new(Silent()) as scratch:
            scratch.rebuild(order[start.length :])
    except (PgyoyoError, psycopg.Error):
        pass
    return None


def _to_notes(made: Made, given: Sequence[str]) -> str:
    things = [[kind, identity, *ids] for (kind, identity), ids in made.items()]
    return json.dumps({"catalog": query.digest(), "given": [*given], "made": things})


def _from_notes(text: str | None) -> tuple[Made, tuple[str, ...]]:
    try:
        notes = json.loads(text or "")
        if notes["catalog"] == query.digest():
            made = {(kind, identity): ids for kind, identity, *ids in notes["made"]}
            return made, tuple(notes["given"])
    except (ValueError, KeyError, TypeError):
        pass
    raise _StaleError


def _changed(after: Snapshot, changed: Collection[Key]) -> Iterator[Key]:
    """The things in `after` that are among the changed ones, or whose comment is."""
    for key in changed:
        if key in after:
            yield key
        if key[0] == "comment":
            # "materialized view public.v": where the kind ends, the names tell.
            words = key[1].split(" ")
            pairs = ((" ".join(words[:at]), " ".join(words[at:])) for at in range(1, len(words)))
            yield from (pair for pair in pairs if pair in after and pair not in changed)


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
