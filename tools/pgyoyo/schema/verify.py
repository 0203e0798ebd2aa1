"""Is the database what its migrations say: files against ledger, and the live catalog against a rebuilt one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from psycopg import errors

from pgyoyo.catalog import snapshot
from pgyoyo.engine import connection
from pgyoyo.errors import MigrationError, PgyoyoError, UsageError
from pgyoyo.schema import files
from pgyoyo.scratch import databases
from pgyoyo.units import several

if TYPE_CHECKING:
    from psycopg import Connection

    from pgyoyo.migrations.migration import Migration
    from pgyoyo.migrations.status import Status
    from pgyoyo.migrator import Migrator


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
    """What verify found: nothing differs when all but `ignored` are empty; `diff` is against a schema.sql."""

    ledger: tuple[str, ...]
    changes: tuple[snapshot.Change, ...] = ()
    ignored: tuple[tuple[snapshot.Change, Ignore], ...] = ()
    diff: tuple[str, ...] = ()


def verify(one: Migrator, scratch_server: str, ignores: Sequence[Ignore]) -> Verdict:
    """Hold files against ledger, and the live catalog against what the applied migrations give on a scratch database.

    Reads only on the target. Raises PgyoyoError where a table of the target is being altered just then, and where a
    migration can't be applied on the scratch server.
    """
    status = one.status()
    applied = [one.migration_of(row, status, as_applied=True) for row in status.applied]
    changes = snapshot.difference(_rebuilt(scratch_server, applied), live(one.conn))
    kept = {change: next((rule for rule in ignores if rule.covers(change)), None) for change in changes}
    return Verdict(
        tuple(_ledger_lines(status)),
        tuple(change for change, rule in kept.items() if rule is None),
        tuple((change, rule) for change, rule in kept.items() if rule is not None),
    )


def against_file(one: Migrator, path: Path) -> Verdict:
    """Hold files against ledger, and the live schema against schema.sql: where no scratch server is at hand.

    Reads only. Raises UsageError where that file can't tell: it is not there, or migrations are pending.
    """
    status = one.status()
    if not path.exists():
        raise UsageError(
            f"no scratch server is at hand, and {path} is not there: give --scratch URL, or run pgyoyo schema"
        )
    if status.pending:
        raise UsageError(
            f"{path} is the schema after all migrations, and {several([m.id for m in status.pending])} is pending; "
            "apply that first, or give a server for a scratch database: --scratch URL"
        )
    views = [
        name
        for (kind, name), text in live(one.conn).items()
        if kind == "materialized view" and not text.endswith("NO DATA")
    ]
    found = files.strip(files.dump(connection.again(one.conn.info)), views)
    wanted = path.read_text(encoding="utf-8").splitlines()
    lines = unified_diff(wanted, found.splitlines(), str(path), "the database", n=2, lineterm="")
    return Verdict(tuple(_ledger_lines(status)), diff=tuple(lines))


def live(conn: Connection) -> snapshot.Snapshot:
    """The target's catalog, without waiting long for a table that is being altered, so that nobody waits behind us."""
    conn.execute("SET lock_timeout = '1s'")
    try:
        return snapshot.snapshot(conn)
    except errors.LockNotAvailable:
        raise PgyoyoError("a table is being altered right now, and its definition can't be read; try again") from None
    finally:
        conn.execute("RESET lock_timeout")


def _rebuilt(scratch_server: str, applied: Sequence[Migration]) -> snapshot.Snapshot:
    from pgyoyo.yoyo_backend import Backend

    with (
        databases.server(scratch_server) as admin,
        databases.database(admin) as conninfo,
        connection.connect(conninfo) as conn,
    ):
        backend = Backend(conn)
        for migration in applied:
            try:
                backend.apply_one(migration)
            except MigrationError as error:
                raise PgyoyoError(
                    f"{error}\n{migration.id} is applied here, but can't be applied on the scratch server: a role, an "
                    "extension or another version may be missing there; give a server like the target: --scratch URL"
                ) from None
        return snapshot.snapshot(conn)


def _ledger_lines(status: Status) -> list[str]:
    return [
        *(f"migration {m.id}: its file was changed after it was applied" for m in status.edited),
        *(f"migration {row.id}: applied, but its file is missing" for row in status.missing),
    ]


def verdict_lines(verdict: Verdict) -> list[str]:
    """What verify found: how the live database differs from what its migrations give."""
    lines = [*verdict.ledger]
    for change in verdict.changes:
        # "added" and "removed" would leave open to which of the two.
        words = str(change).replace(": added", ": only in the database", change.before is None)
        lines.append(words.replace(": removed", ": missing in the database", change.after is None))
    lines += [f"ignored: {change.kind} {change.identity} ({rule.reason})" for change, rule in verdict.ignored]
    lines += verdict.diff
    # Of a diff, each place where it begins anew.
    count = len(verdict.ledger) + len(verdict.changes) + sum(line.startswith("@@") for line in verdict.diff)
    if not count:
        return [*lines, "files, ledger and catalog agree."]
    return [*lines, f"{count} difference{'s' if count > 1 else ''}."]
