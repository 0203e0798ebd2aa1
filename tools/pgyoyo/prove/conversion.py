"""Whether SQL files do what the Python migration does that they were written for, as plain yoyo runs it."""

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout

import psycopg
from psycopg import Connection
from yoyo.exceptions import BadMigration
from yoyo.migrations import Migration as YoyoMigration

from pgyoyo.catalog import rows, snapshot
from pgyoyo.catalog.rows import TableRows
from pgyoyo.catalog.snapshot import Snapshot
from pgyoyo.console import Console
from pgyoyo.engine import failures
from pgyoyo.errors import PgyoyoError
from pgyoyo.migrations.migration import Migration
from pgyoyo.prove.proof import smallest
from pgyoyo.scratch import extensions, samples, shared
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.scratch.history import History

_State = tuple[Snapshot, Mapping[str, TableRows]]


def differences(
    admin: Connection, order: Sequence[Migration], files: Mapping[str, Migration], console: Console
) -> Iterator[tuple[str, list[str]]]:
    """Each Python migration of `order` that `files` has the SQL of, by id, with what the two leave different.

    Both are applied to a scratch database with sample rows, then rolled back: catalog and rows are compared each time. The
    Python runs, as plain yoyo runs it. What differs from one run of it to the next, such as the time, is left out. Raises
    PgyoyoError where either can't be run.
    """
    last = max((i for i, migration in enumerate(order) if migration.id in files), default=-1)
    for migration in order:
        # yoyo resolves dependencies among all that it was told of.
        YoyoMigration(migration.id, migration.apply.name, None)
    extensions.require(admin, order[: last + 1], order[: last + 1])
    with shared.restored(admin, order[: last + 1], console), ExitStack() as stack:
        history = History(admin, order, console, stack)
        for i, migration in enumerate(order[: last + 1]):
            if migration.id in files:
                try:
                    yield migration.id, _compared(history, i, migration, files[migration.id])
                except psycopg.Error as error:
                    raise PgyoyoError(f"{migration.apply.path}: {failures.server_words(error)}") from None


def _compared(history: History, i: int, python: Migration, files: Migration) -> list[str]:
    theirs, ours = _states(history, i, python, by_yoyo=True), _states(history, i, files, by_yoyo=False)
    lines = _lines(theirs, ours)
    if lines:
        volatile = _lines(theirs, _states(history, i, python, by_yoyo=True))
        lines = [line for line in lines if line not in volatile]
    return lines


def _lines(first: Sequence[_State], second: Sequence[_State]) -> list[str]:
    found = []
    for step, before, after in zip(("applied", "rolled back"), first, second, strict=True):
        changes = smallest(snapshot.difference(before[0], after[0]))
        found += [f"{step}: {line}" for line in (*changes, *rows.difference(before[1], after[1]))]
    return found


def _states(history: History, i: int, migration: Migration, *, by_yoyo: bool) -> list[_State]:
    """Catalog and rows after applying the migration to a database with sample rows, and after rolling it back."""
    directions = ("apply", "rollback") if migration.rollback else ("apply", "")
    found: list[_State] = []
    with history.fresh(i) as copy:
        if reasons := [f"{name}: {words}" for name, words in history.broken.items()]:
            raise PgyoyoError(f"{migration.id} can't be compared, since an earlier one fails here: {reasons[0]}")
        samples.fill(copy.conn, {})
        for direction in directions:
            if direction and by_yoyo:
                _by_yoyo(copy, migration, direction)
            elif direction:
                copy.run(migration, direction)
            found.append((copy.snapshot(), rows.rows(copy.conn)))
    return found


def _by_yoyo(copy: ScratchDatabase, migration: Migration, direction: str) -> None:
    """Run the Python file as plain yoyo does, on the copy's session; raises PgyoyoError."""
    copy.changed()
    theirs = YoyoMigration(migration.id, migration.apply.name, None)
    try:
        with redirect_stdout(io.StringIO()):  # yoyo prints the rows of a SELECT
            theirs.process_steps(copy.backend, direction)
    except BadMigration as error:
        raise PgyoyoError(f"{migration.apply.path}: plain yoyo can't import it here: {error.args[-1]}") from None
    except psycopg.Error as error:
        what = "apply it" if direction == "apply" else "roll it back"
        raise PgyoyoError(f"{migration.apply.path}: plain yoyo can't {what}:\n{failures.server_words(error)}") from None
    finally:
        if copy.conn.closed:
            copy.reopen()
        else:
            copy.conn.rollback()
            copy.backend.transaction_is_open(yes=False)
    copy.reopen()
