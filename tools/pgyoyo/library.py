"""The calls of `import pgyoyo`: apply, roll back, ask and wait, from a program.

They print nothing, keep nothing between two calls, and leave signals and the environment alone. Each opens a session of its
own with the target, which it closes at the end. Besides the errors that a call names, each raises ConnectError where there
is no connection, DefectsError where files are wrong, and UsageError for an argument that can't be meant.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

import psycopg

from pgyoyo.engine import connection
from pgyoyo.engine.which_ledger import TABLE as LEDGER
from pgyoyo.errors import ConnectError, MigrationError, PendingError, UsageError
from pgyoyo.migrations import phases, plan, reader
from pgyoyo.migrator import Migrator
from pgyoyo.reports import Observer, Reports
from pgyoyo.results import Applied, RolledBack, Status, status_of
from pgyoyo.sources import Sources, folders_of

if TYPE_CHECKING:
    from pgyoyo.migrations.migration import Folders


class Url(Protocol):
    """SQLAlchemy's URL of an engine."""

    def render_as_string(self, hide_password: bool = ...) -> str:  # noqa: FBT001 - SQLAlchemy's signature
        """The URL as text."""


# A URL or key/value string of libpq, a connection whose server, database and role are meant, or the URL of an engine.
Target = str | psycopg.Connection | psycopg.AsyncConnection | Url


def apply(
    target: Target,
    migrations: Sources,
    *,
    to: str | None = None,
    wait: float = 60.0,
    give_up_after: float = 600.0,
    strict: bool = False,
    phase: str | None = None,
    observer: Observer | None = None,
    migration_table: str = LEDGER,
) -> Applied:
    """Apply what is pending, each migration in a transaction of its own, up to and with `to`; what was applied.

    `wait` is the seconds for another runner, or for a server that does not answer yet; `give_up_after` those for a table's
    lock. `phase` is "expand" before a deployment, for all but the contract migrations, "contract" for those after it.
    `migration_table` is the ledger's name, where yoyo's setting of that name gives it another.
    Of many processes that call it at once, one applies, and the others return after it. Raises LockedError, DriftError, or
    MigrationError, after which what was committed before stays applied.
    """
    where = _conninfo(target, migration_table)
    with _migrator(where, migrations, observer, wait, give_up_after=give_up_after, strict=strict) as (
        migrator,
        reports,
    ):
        migrator.select = phases.selection(phase)
        migrator.apply(target=to)
        return Applied(tuple(reports.ran_ids("applied")), tuple(reports.warnings), status_of(migrator.status()))


def rollback(
    target: Target,
    migrations: Sources,
    *,
    ids: Sequence[str] = (),
    to: str | None = None,
    count: int | None = None,
    everything: bool = False,
    wait: float = 60.0,
    give_up_after: float = 600.0,
    observer: Observer | None = None,
    migration_table: str = LEDGER,
) -> RolledBack:
    """Roll back the ids, all that were applied after `to`, the last `count`, everything, or the last one.

    Asks nobody. Raises RollbackRefusedError, and as `apply`.
    """
    if isinstance(ids, str):
        raise UsageError(f'ids is the text "{ids}"; give a list of ids')
    if sum((bool(ids), to is not None, count is not None, everything)) > 1:
        raise UsageError("give one of ids, to, count and everything")
    where = _conninfo(target, migration_table)
    with _migrator(where, migrations, observer, wait, give_up_after=give_up_after) as (migrator, reports):
        gone = migrator.rollback(ids=ids, target=to, count=count, everything=everything)
        return RolledBack(tuple(gone), tuple(reports.warnings), status_of(migrator.status()))


def status(target: Target, migrations: Sources, *, wait: float = 0.0, migration_table: str = LEDGER) -> Status:
    """What is applied and what is pending; writes nothing, takes no lock, waits `wait` seconds for a server to answer."""
    with _migrator(_conninfo(target, migration_table), migrations, None, wait) as (migrator, _):
        return status_of(migrator.status())


def pending(
    target: Target, migrations: Sources, *, wait: float = 0.0, migration_table: str = LEDGER
) -> tuple[str, ...]:
    """The ids of what `apply` would run, in its order; as `status`."""
    return status(target, migrations, wait=wait, migration_table=migration_table).pending


def wait_until_applied(
    target: Target,
    migrations: Sources,
    *,
    upto: str | None = None,
    phase: str | None = None,
    wait: float = 60.0,
    interval: float = 0.5,
    migration_table: str = LEDGER,
) -> Status:
    """The status as soon as everything is applied, or everything up to and with `upto`; for processes that apply nothing.

    With a phase only what `apply` would run in it counts: a new release does not wait for the contract migrations. Reads
    every `interval` seconds, takes no lock. Raises PendingError after `wait` seconds.
    """
    conninfo = _conninfo(target, migration_table)
    with folders_of(migrations) as names:
        folders = reader.read(names)
        if upto is not None:
            upto = plan.find(upto, [migration.id for migration in folders.migrations])
        counted = {migration.id for migration in folders.migrations if phases.is_of(migration, phase)}
        end = time.monotonic() + wait
        while True:
            now = _look(conninfo, folders, end)
            missing = [name for name in _before(now.pending, upto) if name in counted]
            if not missing:
                return now
            if time.monotonic() >= end:
                raise PendingError(
                    f"still pending after {wait:g} s: {', '.join(missing)}; the process that applies them has "
                    "not come this far; see `pgyoyo status`, or wait longer",
                    missing,
                )
            time.sleep(max(0.0, min(interval, end - time.monotonic())))


def _before(pending: Sequence[str], upto: str | None) -> Sequence[str]:
    """The pending ones up to and with that id, if one is given; none where it is applied."""
    if upto is None:
        return pending
    return pending[: pending.index(upto) + 1] if upto in pending else ()


def _look(conninfo: str, folders: Folders, end: float) -> Status:
    """The status, read in a session of its own; a server that goes away meanwhile is waited for until `end`."""
    while True:
        try:
            with connection.connect(conninfo, wait=max(0.0, end - time.monotonic())) as conn:
                return status_of(Migrator(conn, folders, Reports(None)).status())
        except psycopg.OperationalError as error:
            if time.monotonic() >= end:
                raise ConnectError(connection.redact(str(error).strip(), conninfo)) from None
            time.sleep(0.1)


@contextmanager
def _migrator(
    conninfo: connection.Target,
    migrations: Sources,
    observer: Observer | None,
    wait: float,
    *,
    give_up_after: float = 600.0,
    strict: bool = False,
) -> Iterator[tuple[Migrator, Reports]]:
    """A migrator in a session of its own, and what it reports to; a server's error becomes one of ours."""
    with folders_of(migrations) as names:
        folders = reader.read(names)  # before a server is asked
        since = time.monotonic()
        conn = connection.connect(conninfo, wait=wait)
        reports = Reports(observer)
        left = max(0.0, wait - int(time.monotonic() - since))
        migrator = Migrator(conn, folders, reports, wait=left, give_up_after=give_up_after, strict=strict)
        try:
            yield migrator, reports
        except psycopg.Error as error:
            raise MigrationError(connection.redact(str(error).strip(), conninfo)) from error
        finally:
            migrator.conn.close()  # a run that needed a new session has another one by now


def _conninfo(target: Target, migration_table: str) -> connection.Target:
    """The conninfo of a target, and the name of its ledger; raises UsageError for what is none."""
    if isinstance(target, connection.Target):
        return target
    return connection.Target(_address(target), migration_table)


def _address(target: Target) -> str:
    if isinstance(target, str):
        return connection.normalize(target)
    if isinstance(target, (psycopg.Connection, psycopg.AsyncConnection)):
        if target.closed:
            raise UsageError("the connection is closed; give one that is open, or a URL")
        return connection.again(target.info)
    if hasattr(target, "render_as_string"):
        return connection.normalize(target.render_as_string(hide_password=False))
    raise UsageError(
        f"the target is a {type(target).__name__}; give a URL, an open connection of psycopg, or SQLAlchemy's URL"
    )


__all__ = ["Target", "apply", "pending", "rollback", "status", "wait_until_applied"]
