"""Whether SQL files do what the Python migration does that they were written for, as plain yoyo runs it."""

import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass

import psycopg
from psycopg import Connection
from yoyo.exceptions import BadMigration
from yoyo.migrations import Migration as YoyoMigration

from pgyoyo.catalog import rows, snapshot
from pgyoyo.catalog.rows import TableRows
from pgyoyo.catalog.snapshot import Snapshot
from pgyoyo.console import Console
from pgyoyo.engine import failures
from pgyoyo.errors import PgyoyoError, StatementError
from pgyoyo.migrations.migration import Migration
from pgyoyo.prove.proof import smallest
from pgyoyo.scratch import extensions, present_roles, samples, shared
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.scratch.history import History

_State = tuple[Snapshot, Mapping[str, TableRows]]


@dataclass(frozen=True, slots=True)
class _Outcome:
    """Catalog and rows after applying, and after the rollback; `failure` is the server's error where that failed."""

    states: Sequence[_State]
    failure: str


class _YoyoError(PgyoyoError):
    """Plain yoyo can't run a migration on the scratch server; `server_words` are the server's."""

    def __init__(self, what: str, server_words: str) -> None:
        super().__init__(
            f"{what} on the scratch server:\n{server_words}\n"
            "A role, an extension or another version may be missing there; give a server like the target: --scratch URL"
        )
        self.server_words = server_words


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
        # yoyo resolves dependencies among all that it was given.
        YoyoMigration(migration.id, migration.apply.name, None)
    extensions.require(admin, order[: last + 1], order[: last + 1])
    with shared.restored(admin, order[: last + 1], console), ExitStack() as stack:
        order = present_roles.left_alone(order, present_roles.those_of(admin, order), console)
        history = History(admin, order, console, stack)
        for i, migration in enumerate(order[: last + 1]):
            if migration.id in files:
                try:
                    yield migration.id, _compared(history, i, migration, files[migration.id], console)
                except psycopg.Error as error:
                    raise PgyoyoError(f"{migration.apply.path}: {failures.server_words(error)}") from None


def _compared(history: History, i: int, python: Migration, files: Migration, console: Console) -> list[str]:
    """What the two leave different, with sample rows; with empty tables where plain yoyo refuses the rows as well.

    A rollback that fails even then has to fail in both, with the same error of the server.
    """
    try:
        theirs, filled = _outcome(history, i, python, by_yoyo=True), True
    except _YoyoError as error:
        theirs, filled = _outcome(history, i, python, by_yoyo=True, filled=False), False
        words = f"{python.id} was compared with empty tables, since with sample rows it fails: {error.server_words}"
        if theirs.failure:
            words = f"the rollback of {python.id} fails, and did before: {theirs.failure}"
        console.note(words)
    lines = _lines(theirs, _outcome(history, i, files, by_yoyo=False, filled=filled))
    if lines:
        volatile = _lines(theirs, _outcome(history, i, python, by_yoyo=True, filled=filled))
        lines = [line for line in lines if line not in volatile]
    return lines


def _lines(first: _Outcome, second: _Outcome) -> list[str]:
    differences = []
    for step, before, after in zip(("applied", "rolled back"), first.states, second.states, strict=True):
        changes = smallest(snapshot.difference(before[0], after[0]))
        differences += [f"{step}: {line}" for line in (*changes, *rows.difference(before[1], after[1]))]
    if first.failure != second.failure:
        differences.append(
            f"rolled back: {first.failure or 'no error'} by the .py, {second.failure or 'no error'} by the .sql"
        )
    return differences


def _outcome(history: History, i: int, migration: Migration, *, by_yoyo: bool, filled: bool = True) -> _Outcome:
    """What applying the migration and rolling it back leaves on a database, with sample rows if `filled`."""
    directions = ("apply", "rollback") if migration.rollback else ("apply", "")
    states: list[_State] = []
    failure = ""
    with history.fresh(i) as copy:
        if reasons := [f"{name}: {words}" for name, words in history.broken.items()]:
            raise PgyoyoError(f"{migration.id} can't be compared, since an earlier one fails here: {reasons[0]}")
        if filled:
            samples.fill(copy.conn, {}, facts=copy)
        for direction in directions:
            try:
                if direction and by_yoyo:
                    _by_yoyo(copy, migration, direction)
                elif direction:
                    copy.run(migration, direction)
            except (_YoyoError, StatementError) as error:
                if filled or direction == "apply":
                    raise
                failure = _server_words(error)
            states.append((copy.snapshot(), copy.rows()))
    return _Outcome(states, failure)


def _server_words(error: _YoyoError | StatementError) -> str:
    """The server's message alone: what it quotes of the file differs between the two."""
    if isinstance(error, StatementError) and isinstance(error.server_error, psycopg.Error):
        error = _YoyoError("", failures.server_words(error.server_error))
    return (error.server_words if isinstance(error, _YoyoError) else str(error)).partition("\n")[0]


def _by_yoyo(copy: ScratchDatabase, migration: Migration, direction: str) -> None:
    """Run the Python file as plain yoyo does, on the copy's session; raises PgyoyoError."""
    copy.changed()
    theirs = YoyoMigration(migration.id, migration.apply.name, None)
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # nothing is to be left beside the files
    try:
        with redirect_stdout(io.StringIO()):  # yoyo prints the rows of a SELECT
            theirs.process_steps(copy.backend, direction)
    except BadMigration as error:
        raise PgyoyoError(f"{migration.apply.path}: plain yoyo can't import it here: {error.args[-1]}") from None
    except psycopg.Error as error:
        what = "apply it" if direction == "apply" else "roll it back"
        raise _YoyoError(f"{migration.apply.path}: plain yoyo can't {what}", failures.server_words(error)) from None
    finally:
        sys.dont_write_bytecode = kept
        if copy.conn.closed:
            copy.reopen()
        else:
            copy.conn.rollback()
            copy.backend.transaction_is_open(yes=False)
    copy.reopen()
