"""Is the database what its migrations say: files against ledger, and the live catalog against a rebuilt one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from psycopg import errors

from pgyoyo.catalog import snapshot
from pgyoyo.engine import failures, which_ledger
from pgyoyo.errors import MigrationError, PgyoyoError, StatementError
from pgyoyo.importing import ledgers
from pgyoyo.migrations import checks
from pgyoyo.schema.comparable import Origin, comparable
from pgyoyo.scratch import copies, databases, extensions, outside, present_roles, rights
from pgyoyo.scratch import defaults as session_defaults
from pgyoyo.scratch.shared import restored

if TYPE_CHECKING:
    from psycopg import Connection

    from pgyoyo.importing.ledgers import ToolLedger
    from pgyoyo.migrations.migration import Migration
    from pgyoyo.migrations.status import Status
    from pgyoyo.migrator import Migrator
    from pgyoyo.scratch.copies import ScratchDatabase
    from pgyoyo.scratch.defaults import Defaults

    _Look = Callable[[Migration, ScratchDatabase], None]


_ROLES = """
SELECT pg_catalog.quote_ident(rolname) FROM pg_catalog.pg_roles
WHERE rolname OPERATOR(pg_catalog.<>) ALL (%s::pg_catalog.name[])
"""


@dataclass(frozen=True, slots=True)
class Ignore:
    """Differences that are meant: a shell pattern over "kind identity", and why."""

    pattern: str
    reason: str

    def covers(self, change: snapshot.Change) -> bool:
        """Whether the change is one of those."""
        name = f"{change.kind} {change.identity}"
        return name == self.pattern or fnmatchcase(name, self.pattern)  # a type such as text[] looks like a pattern


@dataclass(frozen=True, slots=True)
class Verdict:
    """What verify found: nothing differs if `ledger` and `changes` are empty; `notes` are about the comparison itself."""

    ledger: tuple[str, ...]
    changes: tuple[snapshot.Change, ...] = ()
    ignored: tuple[tuple[snapshot.Change, Ignore], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The catalog of a scratch database, how it was made, what was there before, and the roles of its server."""

    catalog: snapshot.Snapshot
    notes: tuple[str, ...]
    origin: Origin
    roles: frozenset[str]
    schemas: tuple[str, ...]


def verify(target: Migrator, scratch_server: str, ignores: Sequence[Ignore], *, owners: bool = False) -> Verdict:
    """Compare files with the ledger, and the live catalog with what the applied migrations and the hooks produce.

    They run in a scratch database whose sessions begin with the settings of the target's. With `owners`, owners are compared
    even where the scratch server lacks their roles. Reads only on the target. Raises PgyoyoError where a table of the target
    is being altered just then, and where a migration can't be applied on the scratch server.
    """
    status = target.status()
    applied = [target.migration_of(row, status, as_applied=True) for row in status.applied]
    verdict = compare(target, scratch_server, ignores, applied, status, owners=owners)
    return replace(_without_tools(verdict, ledgers.find(target.conn)), ledger=tuple(ledger_lines(status)))


def _without_tools(verdict: Verdict, tools: Sequence[ToolLedger]) -> Verdict:
    """The same without what only the database has, and other tools keep their own ledger in."""
    theirs = {
        change: tool
        for change in verdict.changes if change.before is None
        for tool in tools if any(Ignore(pattern, "").covers(change) for pattern in tool.owns)
    }  # fmt: skip
    notes = [f"{tool}, the ledger of {tool.tool}, is left out" for tool in tools if tool in theirs.values()]
    changes = tuple(change for change in verdict.changes if change not in theirs)
    return replace(verdict, changes=changes, notes=(*verdict.notes, *notes))


def compare(
    target: Migrator,
    scratch_server: str,
    ignores: Sequence[Ignore],
    applied: Sequence[Migration],
    status: Status,
    *,
    owners: bool = False,
    each: Callable[[Migration, Sequence[snapshot.Change]], None] | None = None,
) -> Verdict:
    """The live catalog beside what these migrations and the hooks produce, whatever the ledger says; otherwise as `verify`.

    `each` gets every migration with what differs, owners aside, and is not ignored, as soon as that one is applied.
    """
    origin, here = origin_of(target.conn, status.schema), live(target.conn)
    plain = snapshot.snapshot(target.conn) if each else {}

    def look(migration: Migration, scratch: ScratchDatabase) -> None:
        assert each
        own = Origin(scratch.conn.info.server_version, origin.role)
        changes = snapshot.difference(*comparable(scratch.snapshot(), plain, own, origin, (), owners=False)[:2])
        each(migration, [change for change in changes if not any(rule.covers(change) for rule in ignores)])

    made = rebuilt(scratch_server, target, applied, status, look if each else None)
    before, after, notes = comparable(
        made.catalog, here, made.origin, origin, made.roles, owners=owners, given=made.schemas
    )
    changes = snapshot.difference(before, after)
    kept = {change: next((rule for rule in ignores if rule.covers(change)), None) for change in changes}
    return Verdict(
        (),
        tuple(change for change, rule in kept.items() if rule is None),
        tuple((change, rule) for change, rule in kept.items() if rule is not None),
        (*made.notes, *notes),
    )


def origin_of(conn: Connection, schema: str | None) -> Origin:
    """The server's version, and who runs the migrations there: the owner of the ledger, if there is one."""
    table = which_ledger.table_of(conn)
    row = conn.execute(
        "SELECT pg_catalog.quote_ident(coalesce((SELECT pg_catalog.pg_get_userbyid(relowner) FROM pg_catalog.pg_class"
        " WHERE oid OPERATOR(pg_catalog.=) pg_catalog.to_regclass(%s)::pg_catalog.oid), current_user))",
        [f'{schema}."{table}"' if schema else None],
    ).fetchone()
    assert row
    return Origin(conn.info.server_version, rights.runner(row[0]))


def live(conn: Connection) -> snapshot.Snapshot:
    """The target's catalog with its owners; waits briefly for a table that is being altered, as others wait behind us."""
    conn.execute("SET lock_timeout = '1s'")
    try:
        return snapshot.snapshot(conn, owners=True)
    except errors.LockNotAvailable:
        raise PgyoyoError("a table is being altered right now, and its definition can't be read; try again") from None
    finally:
        conn.execute("RESET lock_timeout")


def rebuilt(
    scratch_server: str,
    target: Migrator,
    applied: Sequence[Migration],
    status: Status,
    look: _Look | None = None,
    *,
    shared: Sequence[Migration] = (),
) -> Rebuilt:
    """The catalog that the applied migrations and the hooks produce in a database that is like the target.

    `shared` was applied to the schema public of it before, by a ledger of its own there.
    """
    hooks = target.folders.hooks if applied else ()
    defaults = session_defaults.read(target.conn, [*applied, *hooks], status.schema)
    with (
        databases.server(scratch_server, target.console.note) as admin,
        restored(admin, [*shared, *applied, *hooks], target.console),
    ):
        extensions.require(admin, [*shared, *applied, *(() if status.pending else hooks)])
        try:
            return _rebuilt_with(admin, target, applied, defaults, status, look, shared=shared)
        except StatementError as error:
            made_outside = outside.of(target.conn, admin, [*applied, *hooks], error)
            if not made_outside:
                raise
        return _rebuilt_with(admin, target, applied, defaults, status, look, made_outside, shared=shared)


def _rebuilt_with(
    admin: Connection,
    target: Migrator,
    applied: Sequence[Migration],
    defaults: Defaults,
    status: Status,
    look: _Look | None,
    made_outside: Sequence[outside.Extension] = (),
    *,
    shared: Sequence[Migration] = (),
) -> Rebuilt:
    notes = [*checks.left_out(applied), *(extension.note for extension in made_outside)]
    done: list[str] = []
    every = [*shared, *applied, *target.folders.hooks]
    every = [*present_roles.left_alone(every, present_roles.those_of(admin, every), target.console)]
    shared, hooks = every[: len(shared)], every[len(shared) + len(applied) :]
    applied = every[len(shared) : len(shared) + len(applied)]
    with copies.new(admin, target.console, defaults, shared) as scratch:
        outside.create(admin, scratch.conn.info.dbname, made_outside)
        try:
            for migration in scratch.rebuilding(applied):
                done.append(migration.id)
                if look:
                    look(migration, scratch)
            for hook in hooks if applied else ():
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
            # What was lent owns nothing here, unless a file gives it.
            names = admin.execute(_ROLES, [list(scratch.lent)]).fetchall()
            catalog, origin = scratch.snapshot(owners=True), origin_of(scratch.conn, scratch.backend.schema_name)
            notes = [*scratch.given_notes(), *notes]
            return Rebuilt(catalog, tuple(notes), origin, frozenset(name for (name,) in names), scratch.given)
        except MigrationError as error:
            failed = [*(m.id for m in applied), *(hook.id for hook in hooks)][len(done)]
            counts = "is" if failed in {row.id for row in status.applied} else "counts as"
            reason = (
                "no file before it may make what it needs, or a role, an extension or another version may be missing "
                "there; give a server like the target: --scratch URL"
            )
            if isinstance(error, StatementError) and failures.sqlstate(error.server_error) in ("25001", "2D000"):
                reason = "correct its header"
            error.state = f"{failed} {counts} applied here, but can't be applied on the scratch server: {reason}"
            raise


def ledger_lines(status: Status) -> list[str]:
    """How the ledger and the files differ, a line each."""
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
