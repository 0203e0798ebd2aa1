"""Is the database what its migrations say: files against ledger, and the live catalog against a rebuilt one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from psycopg import errors

from pgyoyo.catalog import snapshot
from pgyoyo.errors import MigrationError, PgyoyoError, StatementError
from pgyoyo.scratch import databases
from pgyoyo.scratch import defaults as session_defaults
from pgyoyo.scratch.copies import ScratchDatabase
from pgyoyo.scratch.shared import restored

if TYPE_CHECKING:
    from psycopg import Connection

    from pgyoyo.migrations.migration import Migration
    from pgyoyo.migrations.status import Status
    from pgyoyo.migrator import Migrator
    from pgyoyo.scratch.defaults import Defaults

    _After = Callable[[Migration, snapshot.Snapshot], None]


@dataclass(frozen=True, slots=True)
class Ignore:
    """Differences that are meant: a shell pattern over "kind identity", and why."""

    pattern: str
    reason: str

    def covers(self, change: snapshot.Change) -> bool:
        """Whether the change is one of those."""
        return fnmatchcase(f"{change.kind} {change.identity}", self.pattern)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verify found: nothing differs if `ledger` and `changes` are empty; `notes` are about the comparison itself."""

    ledger: tuple[str, ...]
    changes: tuple[snapshot.Change, ...] = ()
    ignored: tuple[tuple[snapshot.Change, Ignore], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Rebuilt:
    """The catalog of a scratch database, and what a reader should know of how it was made."""

    catalog: snapshot.Snapshot
    notes: tuple[str, ...]


def verify(target: Migrator, scratch_server: str, ignores: Sequence[Ignore]) -> Verdict:
    """Compare files with the ledger, and the live catalog with what the applied migrations and the hooks produce.

    They run in a scratch database whose sessions begin with the settings of the target's. Reads only on the target. Raises
    PgyoyoError where a table of the target is being altered just then, and where a migration can't be applied on the scratch
    server.
    """
    status = target.status()
    applied = [target.migration_of(row, status, as_applied=True) for row in status.applied]
    return replace(compare(target, scratch_server, ignores, applied, status), ledger=tuple(_ledger_lines(status)))


def compare(
    target: Migrator,
    scratch_server: str,
    ignores: Sequence[Ignore],
    applied: Sequence[Migration],
    status: Status,
    *,
    each: Callable[[Migration, Sequence[snapshot.Change]], None] | None = None,
) -> Verdict:
    """The live catalog beside what these migrations and the hooks produce, whatever the ledger says; otherwise as `verify`.

    `each` gets every migration with what differs, and is not ignored, as soon as that one is applied.
    """
    here = live(target.conn)

    def after(migration: Migration, catalog: snapshot.Snapshot) -> None:
        assert each
        changes = snapshot.difference(catalog, here)
        each(migration, [change for change in changes if not any(rule.covers(change) for rule in ignores)])

    rebuilt = _rebuilt(scratch_server, target, applied, status, after if each else None)
    changes = snapshot.difference(rebuilt.catalog, here)
    kept = {change: next((rule for rule in ignores if rule.covers(change)), None) for change in changes}
    return Verdict(
        (),
        tuple(change for change, rule in kept.items() if rule is None),
        tuple((change, rule) for change, rule in kept.items() if rule is not None),
        rebuilt.notes,
    )


def live(conn: Connection) -> snapshot.Snapshot:
    """The target's catalog, without waiting long for a table that is being altered, so that nobody waits behind us."""
    conn.execute("SET lock_timeout = '1s'")
    try:
        return snapshot.snapshot(conn)
    except errors.LockNotAvailable:
        raise PgyoyoError("a table is being altered right now, and its definition can't be read; try again") from None
    finally:
        conn.execute("RESET lock_timeout")


def _rebuilt(
    scratch_server: str, target: Migrator, applied: Sequence[Migration], status: Status, after: _After | None = None
) -> _Rebuilt:
    """The catalog that the applied migrations and the hooks produce in a database that is like the target."""
    hooks = target.folders.hooks if applied else ()
    defaults = session_defaults.read(target.conn, [*applied, *hooks], status.schema)
    with (
        databases.server(scratch_server, target.console.note) as admin,
        restored(admin, [*applied, *hooks], target.console),
    ):
        try:
            return _rebuilt_with(admin, target, applied, defaults, status, after)
        except StatementError as error:
            # A schema that a file creates in a way that its text does not show.
            if not defaults.schemas or not isinstance(error.server_error, errors.DuplicateSchema):
                raise
            defaults = replace(defaults, schemas=(), ledger="public")
            return _rebuilt_with(admin, target, applied, defaults, status, after)


def _rebuilt_with(
    admin: Connection,
    target: Migrator,
    applied: Sequence[Migration],
    defaults: Defaults,
    status: Status,
    after: _After | None,
) -> _Rebuilt:
    notes = [
        f"schema {name} was created empty: the search_path names it, and no migration creates it"
        for name in defaults.schemas
    ]
    done: list[str] = []
    with databases.database(admin) as conninfo:
        scratch = ScratchDatabase(conninfo, target.console, defaults.ledger, defaults=defaults)
        try:
            for migration in scratch.rebuilding(applied):
                done.append(migration.id)
                if after:
                    after(migration, scratch.snapshot())
            for hook in target.folders.hooks if applied else ():
                try:
                    scratch.run(hook, "apply", mark=False)
                except StatementError as error:
                    if not status.pending:
                        raise
                    # It may be meant for the schema with the pending migrations.
                    notes.append(
                        f"{hook.id} can't run before the pending migrations, so it was left out:\n{error.words}"
                    )
                done.append(hook.id)
            return _Rebuilt(scratch.snapshot(), tuple(notes))
        except MigrationError as error:
            failed = [*(m.id for m in applied), *(hook.id for hook in target.folders.hooks)][len(done)]
            error.state = (
                f"{failed} is applied here, but can't be applied on the scratch server: a role, an extension or another "
                "version may be missing there; give a server like the target: --scratch URL"
            )
            raise
        finally:
            scratch.close()


def _ledger_lines(status: Status) -> list[str]:
    return [
        *(f"migration {m.id}: its file was changed after it was applied" for m in status.edited),
        *(f"migration {row.id}: applied, but its file is missing" for row in status.missing),
    ]


def verdict_lines(verdict: Verdict) -> list[str]:
    """What verify found: how the live database differs from what its migrations give."""
    lines = [*(f"note: {note}" for note in verdict.notes), *verdict.ledger]
    for change in verdict.changes:
        # "added" and "removed" would leave open to which of the two.
        words = str(change).replace(": added", ": only in the database", change.before is None)
        lines.append(words.replace(": removed", ": missing in the database", change.after is None))
    lines += [f"ignored: {change.kind} {change.identity} ({rule.reason})" for change, rule in verdict.ignored]
    count = len(verdict.ledger) + len(verdict.changes)
    if not count:
        return [*lines, "files, ledger and catalog agree."]
    return [*lines, f"{count} difference{'s' if count > 1 else ''}."]
