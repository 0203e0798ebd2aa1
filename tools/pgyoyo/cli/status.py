"""pgyoyo status: for a person and for a program."""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from pgyoyo import preflight
from pgyoyo.cli.config import load
from pgyoyo.cli.context import address, migrator, place
from pgyoyo.cli.options import common, examples, format_option
from pgyoyo.errors import UsageError
from pgyoyo.migrations.migration import Migration
from pgyoyo.migrations.status import Applied, JournalLine, Status
from pgyoyo.units import several, time_words

if TYPE_CHECKING:
    from pgyoyo.engine.blockers import AtWork
    from pgyoyo.migrator import Migrator


@click.command(epilog=examples("pgyoyo status", "pgyoyo status --exit-code --format json"))
@common
@format_option
@click.option("--exit-code", is_flag=True, help="Exit with 3 if migrations are pending.")
@click.option("--watch", is_flag=True, help="Show it again each second, until nothing is pending.")
def status(
    database: str | None,
    migrations: tuple[str, ...],
    layout: str,
    exit_code: bool,  # noqa: FBT001 - click passes by name
    watch: bool,  # noqa: FBT001 - as above
    **options: Any,
) -> None:
    """Show which migrations are applied and which are pending.

    Read-only. Also shows files that changed or are missing, and what was interrupted.
    """
    if watch and layout == "json":
        raise UsageError("--watch is for a person; ask a program's --format json again instead")
    with migrator(load(database=database, migrations=migrations), **options) as connected:
        current = connected.status()
        if watch:
            current = _watch(connected, current)
        where, runner = place(connected), connected.at_work(current)
        due = () if current.pending else connected.hooks_due(current)
        if layout == "json":
            connected.console.data(status_json(address(connected), current, runner, due))
        else:
            never_ran = preflight.written_since(connected.conn, current, current.edited)
            there = preflight.unrecorded(connected.conn, current, current.pending)
            connected.console.answer("\n".join(status_lines(where, current, runner, never_ran, there, due)))
    if current.edited:
        sys.exit(4)
    if exit_code and current.pending:
        sys.exit(3)


def _watch(connected: Migrator, current: Status) -> Status:
    """The status once nothing is pending; shown each second till then, off a terminal where it has changed."""
    shown: list[str] = []
    while current.pending:
        lines = status_lines(place(connected), current, connected.at_work(current))
        if sys.stdout.isatty():
            connected.console.screen(lines)
        elif lines != shown:
            connected.console.answer("\n".join(lines[1:] if shown else lines))
        shown = lines
        try:
            time.sleep(1)
        except KeyboardInterrupt as error:
            if type(error) is not KeyboardInterrupt:
                raise  # SIGTERM
            sys.exit(130)
        current = connected.status()
    return current


def status_lines(
    database: str,
    status: Status,
    runner: AtWork | None = None,
    never_ran: Sequence[Migration] = (),
    unrecorded: preflight.Unrecorded | None = None,
    due: Sequence[Migration] = (),
) -> list[str]:
    """The status for a person: one line a migration, then what stands out and what comes next.

    `runner` is the one that is at work meanwhile; `never_ran` are those of the edited migrations that were applied without a
    statement; `unrecorded` is what a database without a ledger has; `due` are the hooks that the next apply runs.
    """
    at_work = _at_work(status, runner)
    ids = [str(row.id) for row in status.applied] + [migration.id for migration in status.pending]
    width = max(map(len, ids), default=0)
    marks = _marks(status)
    begun = {line.hash: line for line in status.journal}
    backfills = {progress.hash: progress for progress in status.backfills}
    lines = [database]
    for row in status.applied:
        words = [f"applied  {str(row.id).ljust(width)}  {_when(row)}", *_provenance(row), *marks[row.hash]]
        if row.hash == at_work:
            words.append(_running("rollback ", begun.get(row.hash), runner))
        elif row.hash in begun:
            words.append(f"rollback interrupted after statement {begun[row.hash].statement}")
        lines.append("  ".join(words))
    for migration in status.pending:
        words = [f"pending  {migration.id.ljust(width)}", *marks[migration.hash]]
        if migration.hash == at_work:
            words.append(_running("", begun.get(migration.hash), runner))
        elif migration.hash in begun:
            words.append(f"interrupted at statement {begun[migration.hash].statement}")
        if progress := backfills.get(migration.hash):
            words.append(f"backfill {progress.state}: {progress}")
        lines.append("  ".join(words).rstrip())
    if runner and not at_work:
        lines.append(f"running  {runner}")
    if due:
        lines.append(
            f"{several([hook.id for hook in due])} did not run to the end after the last apply; run: pgyoyo apply"
        )
    return [*lines, *_advice(status, never_ran, unrecorded)]


def _marks(status: Status) -> Mapping[str, list[str]]:
    """The phase of each migration and what is wrong with it, by its hash."""
    marks: dict[str, list[str]] = defaultdict(list)
    for key, phase in status.phases.items():
        marks[key].append(phase)
    for word, those in (
        ("FILE CHANGED", status.edited), ("FILE MISSING", status.missing), ("out of order", status.out_of_order),
    ):  # fmt: skip
        for each in those:
            marks[each.hash].append(word)
    return marks


def _provenance(row: Applied) -> Iterator[str]:
    """How long an applied migration took, and who applied it, or recorded it without running it."""
    if row.duration is not None:
        yield time_words(row.duration)
    if row.by:
        yield f"by {row.by}"
    if row.checksum is None:
        yield "applied by plain yoyo (file contents not recorded)"
    elif not row.by:
        yield "applied by plain yoyo" + (f", adopted {row.adopted:%Y-%m-%d}" if row.adopted else "")
    elif row.duration is None:
        yield "marked, not run"


def _advice(status: Status, never_ran: Sequence[Migration], unrecorded: preflight.Unrecorded | None) -> Iterator[str]:
    """The last lines: what to do about renamed and changed files, and what comes next."""
    if status.renamed:
        yield "renamed after it was applied; rename it in the ledger, too:"
        yield from preflight.rename_commands(status.renamed)
    if never_ran:
        empty = " ".join(migration.id for migration in never_ran)
        yield f"applied while the file had no statement; run what it has now: pgyoyo redo {empty}"
    if changed := [migration for migration in status.edited if migration not in never_ran]:
        yield f"restore the changed file, or accept it: pgyoyo repair {changed[0].id}"
    if unrecorded is None:
        yield str(status)
        return
    advice = unrecorded.advice or "pgyoyo adopt, if these migrations made them; else pgyoyo apply"
    yield unrecorded.words
    yield f"{len(status.applied)} applied, {len(status.pending)} pending; next: {advice}"


def _at_work(status: Status, runner: AtWork | None) -> str | None:
    """The hash of the migration that a runner is at work on: the one with a journal, or whose record it has just sent."""
    if runner is None:
        return None
    if status.journal:
        return status.journal[-1].hash
    hashes = [m.hash for m in status.pending] + [row.hash for row in status.applied]
    return next((key for key in hashes if key in (runner.query or "")), None)


def _running(way: str, line: JournalLine | None, runner: AtWork | None) -> str:
    if line is None:
        at = ""
    else:
        at = f" statement {line.statement}" if line.state == "started" else f" after statement {line.statement}"
    return f"{way}running{at}: {runner}"


def _when(row: Applied) -> str:
    return f"{row.at:%Y-%m-%d %H:%M:%S} UTC" if row.at else "(no time)".ljust(23)


def status_json(
    database: Mapping[str, object], status: Status, runner: AtWork | None = None, due: Sequence[Migration] = ()
) -> str:
    """The status for a program; keys are stable, times ISO 8601 in UTC, durations milliseconds; `due` as above."""
    edited = {migration.hash for migration in status.edited}
    missing = {row.hash for row in status.missing}
    out_of_order = {migration.hash for migration in status.out_of_order}

    def applied(row: Applied) -> dict[str, Any]:
        return {
            "id": row.id, "state": "applied", "applied_at": row.at.isoformat() + "Z" if row.at else None,
            "duration_ms": None if row.duration is None else round(row.duration, 3),
            "applied_by": row.by or None, "version": row.version,
            "adopted_at": row.adopted.isoformat() + "Z" if row.adopted else None, "checksum": row.checksum,
            "edited": row.hash in edited, "file_missing": row.hash in missing, "phase": status.phases.get(row.hash),
        }  # fmt: skip

    content = {
        "database": database,
        "ledger_schema": status.schema,
        "migrations": [
            *(applied(row) for row in status.applied),
            *(
                {"id": m.id, "state": "pending", "late": m.hash in out_of_order, "phase": status.phases.get(m.hash)}
                for m in status.pending
            ),
        ],
        "interrupted": [
            {"id": line.migration_id, "operation": line.operation, "statement": line.statement, "state": line.state}
            for line in (() if runner else status.journal)
        ],
        "running": _runner_json(status, runner),
        "backfills": [
            {
                "id": backfill.migration_id,
                "state": "running" if backfill.running else "interrupted",
                "waits_for": (backfill.waiting if backfill.running else None) or None,
                "paused": backfill.paused,
                "statements_done": backfill.done,
                "efficiency": backfill.efficiency,
                "rows": backfill.rows,
                "batches": backfill.batches,
                "fraction": backfill.fraction,
                "seconds": backfill.worked,
                "rows_per_second": backfill.rate,
                "seconds_left": backfill.left,
                "seconds_since_last_batch": backfill.idle,
            }
            for backfill in status.backfills
        ],
        "hooks_due": [hook.id for hook in due],
        "applied": len(status.applied),
        "pending": len(status.pending),
    }
    return json.dumps(content, indent=2)


def _runner_json(status: Status, runner: AtWork | None) -> dict[str, object] | None:
    """The runner that is at work, the migration and statement it is at where that is known, and what it waits for."""
    if runner is None:
        return None
    key = _at_work(status, runner)
    ids = {m.hash: m.id for m in status.pending} | {row.hash: row.id for row in status.applied}
    line = status.journal[-1] if status.journal else None
    return {
        "id": ids.get(key) if key else None,
        "statement": line.statement if line else None,
        "pid": runner.pid,
        "application": runner.application,
        "role": runner.role,
        "seconds": runner.elapsed if runner.state == "active" else None,
        "phase": runner.sight.phase or None,
        "waits_for": [
            {
                "pid": blocker.pid, "kind": blocker.kind, "application": blocker.application, "role": blocker.role,
                "state": blocker.state, "seconds": blocker.age, "holds": blocker.holds, "wants": blocker.wants,
                "object": blocker.object, "query": blocker.shown_query or None,
            }
            for blocker in runner.sight.blockers
        ],
    }  # fmt: skip
