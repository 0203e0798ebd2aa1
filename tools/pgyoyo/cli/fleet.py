"""pgyoyo fleet apply, status, verify, rollback: one change over many databases or schemas."""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import click

from pgyoyo.cli.config import load, note
from pgyoyo.cli.context import scratch_target, target
from pgyoyo.cli.options import examples, format_option, place_options, quiet_option, runs, scratch_option
from pgyoyo.console import Console
from pgyoyo.errors import UsageError
from pgyoyo.fleet import definition, members, report
from pgyoyo.fleet.definition import Fleet
from pgyoyo.fleet.members import Member
from pgyoyo.fleet.run import Run, exit_code
from pgyoyo.fleet.verify import Verifier, together
from pgyoyo.fleet.visit import AT_HEAD, UNCHANGED, Options, Sessions, Visit, Visitor
from pgyoyo.migrations import plan, reader
from pgyoyo.migrations.migration import Folders
from pgyoyo.schema.verify import Ignore
from pgyoyo.settings import EMBEDDED, Settings
from pgyoyo.units import number

_LIMITS = {
    "jobs": "How many members at a time (8).",
    "per_server": "How many of them on one server at most.",
    "max_failures": "End when so many members, or such a percentage of them, have failed (10).",
}
_CANARY = {
    "bake": "How long to wait after the canary before it is looked at again, and the others follow.",
    "max_lock": "End where the canary held a strong lock on a table for longer.",
    "max_wal": "End where the canary wrote more WAL.",
    "max_duration": "End where the canary took longer.",
    "backfills": "How many members of one server may run a backfill at a time (2).",
}


def _options(texts: dict[str, str]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for name, text in reversed(texts.items()):
            command = click.option(f"--{name.replace('_', '-')}", metavar="N", help=text)(command)
        return command

    return decorate


def _common(command: Any) -> Any:
    """NAME, or where the members are; and how much to print."""
    for add in (
        quiet_option, format_option, place_options,
        click.option("--schemas", metavar="PATTERN", help="Schemas of the database, as 'tenant_%', in place of NAME."),
        click.option("--databases", "listed", metavar="FILE", help="File with a database a line, in place of NAME."),
        click.argument("name", required=False),
    ):  # fmt: skip
        command = add(command)
    return command


@click.group(
    epilog=examples("pgyoyo fleet status tenants", "pgyoyo fleet apply tenants --jobs 8", "pgyoyo fleet verify tenants")
)
def fleet() -> None:
    """Apply, roll back and compare over many databases or schemas.

    [[tool.pgyoyo.fleet]] says who is in a fleet. Each member has its own ledger, lock, session and retries.
    """


@fleet.command(epilog=examples("pgyoyo fleet apply tenants", "pgyoyo fleet apply --schemas 'tenant_%' --max-lock 2s"))
@_common
@click.option("--to", "target_id", metavar="ID", help="Last migration to apply.")
@click.option("--strict", is_flag=True, help="Fail on files that are out of order, missing or from two branches.")
@click.option(
    "--canary", metavar="ID|N|N%", multiple=True, help="Members that run alone before the others (1); 0 for none."
)
@_options(_LIMITS | _CANARY)
@runs
@scratch_option
def apply(
    name: str | None,
    target_id: str | None,
    strict: bool,  # noqa: FBT001 - click passes by name
    canary: tuple[str, ...],
    scratch: str | None,
    **options: Any,
) -> None:
    """Apply the pending migrations at all members.

    The canary runs alone, and what it cost is shown; then the others run beside each other. A member that fails is left as
    it is, and the others go on. Run it again to try those that failed or were not reached.
    """
    with _opened(name, canary=canary, strict=strict, target_id=target_id, **options) as run:
        run.check = lambda canaries: _unwell(run, canaries, scratch)
        _show(run, run.apply(), "applied", **_looks(options))


@fleet.command(epilog=examples("pgyoyo fleet rollback tenants --to 0041 --yes"))
@_common
@click.option("--to", "target_id", metavar="ID", help="Roll back everything after this one, which stays applied.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Roll back the last N migrations (1).")
@click.option("--yes", is_flag=True, help="Roll back without asking.")
@_options(_LIMITS)
@runs
def rollback(
    name: str | None,
    target_id: str | None,
    count: int | None,
    yes: bool,  # noqa: FBT001 - click passes by name
    **options: Any,
) -> None:
    """Roll back the last migration, or those after ID, at all members.

    A member that has nothing to roll back is left alone.
    """
    if target_id and count:
        raise UsageError("use only one of --to and --count")
    with _opened(name, target_id=target_id, count=count, **options) as run:
        what = f"everything after {run.visitor.options.target}" if target_id else f"the last {count or 1}"
        if not yes and not (
            sys.stdin.isatty() and click.confirm(f"Roll back {what} at {number(len(run.members), 'member')}?")
        ):
            raise UsageError("nothing was rolled back; --yes rolls back without asking")
        _show(run, run.rollback(), "rolled back", **_looks(options))


@fleet.command(epilog=examples("pgyoyo fleet status tenants", "pgyoyo fleet status tenants --format json"))
@_common
@_options({"jobs": _LIMITS["jobs"], "per_server": _LIMITS["per_server"]})
@click.option("--exit-code", is_flag=True, help="Exit with 3 if migrations are pending anywhere.")
def status(name: str | None, exit_code: bool, **options: Any) -> None:  # noqa: FBT001 - click passes by name
    """Show where the members stand.

    Read-only; takes no lock.
    """
    with _opened(name, **options) as run:
        tally = _show(run, run.look(), "", **_looks(options))
    if exit_code and tally.states["pending"]:
        sys.exit(3)


@fleet.command(epilog=examples("pgyoyo fleet verify tenants"))
@_common
@scratch_option
@click.option(
    "--ignore", "patterns", metavar="PATTERN", multiple=True, help='Expected differences, as "index *.tmp_*".'
)
def verify(name: str | None, scratch: str | None, patterns: tuple[str, ...], **options: Any) -> None:
    """Compare the schema of each member with what its migrations give.

    Members that differ in the same way are shown together. Read-only. Exits with 4 if anything differs.
    """
    with _opened(name, **options) as run:
        console = Console()
        drifts = list(_verifier(run, scratch, patterns).drifts(run.members))
        differing = together(drifts)
        faults = [drift for drift in drifts if drift.fault]
        for lines, ids in differing.items():
            names = ", ".join(ids[:10]) + (f" and {len(ids) - 10} more" if len(ids) > 10 else "")
            console.answer(
                "\n".join(
                    [
                        f"{number(len(ids), 'member')} differ in the same way: {names}",
                        *(f"    {line}" for line in lines),
                    ]
                )
            )
        for drift in faults:
            console.warn(f"{drift.member.id} could not be compared: {drift.fault}")
        agreeing = len(drifts) - sum(map(len, differing.values())) - len(faults)
        console.answer(f"{run.fleet.name}: {agreeing} of {number(len(drifts), 'member')} agree with the files")
    if differing:
        sys.exit(4)
    if faults:
        sys.exit(1)


# --- helpers ---------------------------------------------------------------------------------------------------------


class _Run(Run):
    """A run, and the settings it began with."""

    config: Settings


def _looks(options: dict[str, Any]) -> dict[str, Any]:
    return {"quiet": options["quiet"], "layout": options["layout"]}


@contextmanager
def _opened(
    name: str | None,
    *,
    database: str | None,
    migrations: tuple[str, ...],
    listed: str | None,
    schemas: str | None,
    target_id: str | None = None,
    count: int | None = None,
    canary: Sequence[str] = (),
    strict: bool = False,
    wait: float | None = None,
    give_up_after: float = 600.0,
    **options: Any,
) -> Iterator[_Run]:
    """A run over the members, whose sessions are closed at the end."""
    config = load(database=database, migrations=migrations)
    chosen = _fleet(config, name, listed, schemas)
    limits = {key.replace("_", "-"): text for key, text in options.items() if key in (_LIMITS | _CANARY) and text}
    shares = [text for text in canary if text.rstrip("%").isdecimal()]
    if shares:
        limits["canary"] = shares[-1]
    given = definition.limits(limits, "the command line")
    own = {field.replace("-", "_"): getattr(given, field.replace("-", "_")) for field in limits}
    chosen = replace(chosen, limits=replace(chosen.limits, **own))
    folders = [
        reader.read([str(config.root / place) for place in group.migrations] or config.migrations)
        for group in chosen.groups
    ]
    folders.append(reader.read(config.migrations))
    base = target(config) if config.database is not None else None
    found = members.find(chosen, base, os.environ, config.root)
    names = [text for text in canary if text not in shares]
    for text in names:
        if text not in {member.id for member in found}:
            raise UsageError(f'--canary is "{text}", which is no member of {chosen.name}')
    if target_id is not None:
        target_id = plan.find(target_id, dict.fromkeys(m.id for each in folders for m in each.migrations))
    treated = Options(
        target=target_id, count=count, strict=strict, wait=60.0 if wait is None else wait, give_up_after=give_up_after,
        limits=config.limits, backfills=chosen.limits.backfills, embedded=config.database == EMBEDDED,
    )  # fmt: skip
    sessions = Sessions()
    run = _Run(chosen, found, Visitor(folders, treated, sessions), note, canary_ids=names)
    run.config = config
    with _interruptible(run):
        try:
            yield run
        finally:
            sessions.close()


def _files(places: Sequence[str]) -> Folders:
    """What the folders hold, the migrations in the order in which they run."""
    folders = reader.read(places)
    return replace(folders, migrations=tuple(plan.order(folders.migrations)))


def _fleet(config: Settings, name: str | None, listed: str | None, schemas: str | None) -> Fleet:
    if listed or schemas:
        if name:
            raise UsageError("give a NAME, or --databases and --schemas")
        return Fleet(name="fleet", databases=str(Path(listed).resolve()) if listed else (), schemas=schemas or ())
    if name is None:
        known = ", ".join(str(table.get("name")) for table in config.fleets)
        raise UsageError(
            f"give the NAME of a fleet ({known or 'no [[tool.pgyoyo.fleet]] is there'}), --databases or --schemas"
        )
    return definition.choose(config.fleets, name, "[tool.pgyoyo]")


@contextmanager
def _interruptible(run: Run) -> Iterator[None]:
    """The first ctrl-C lets the members in hand finish, a second one cancels them; SIGTERM likewise."""

    def interrupt(_: int, __: FrameType | None) -> None:
        first = not run.is_interrupted
        run.interrupt()
        note("ending with the members in hand; once more cancels them" if first else "cancelling")

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for signal_number, handler in before.items():
            signal.signal(signal_number, handler)


def _show(run: Run, visits: Iterator[Visit], verb: str, *, quiet: bool, layout: str) -> report.Tally:
    """Show each visit as it ends, and at the end the summary; exits as a single apply does."""
    console, tally = Console(), report.Tally()
    width = max(len(member.id) for member in run.members)
    is_live = layout == "text" and sys.stdout.isatty() and not quiet
    if is_live:
        from pgyoyo.fleet.live import Progress  # loads rich

    with Progress(run).shown() if is_live else nullcontext() as progress:
        for visit in visits:
            tally.add(visit)
            if layout == "json":
                console.data(report.as_json(visit, run.fleet))
                continue
            if progress:
                progress.add(visit)
            if visit.state not in (UNCHANGED, AT_HEAD) and verb and not quiet:
                (progress.print if progress else console.answer)(report.line(visit, width))
    if layout == "text":
        console.answer("\n".join(report.summary(tally, run, verb)))
    elif run.reason:
        console.warn(run.reason)
    if code := exit_code(tally.states, run):
        sys.exit(code)
    return tally


def _verifier(run: Run, scratch: str | None, patterns: Sequence[str] = ()) -> Verifier:
    config: Settings = run.config  # type: ignore[attr-defined]
    rules = [Ignore(pattern, reason) for pattern, reason in config.ignore] + [
        Ignore(text, "--ignore") for text in patterns
    ]
    return Verifier(run.visitor.folders, lambda version: scratch_target(config, scratch, version), rules)


def _unwell(run: Run, canaries: Sequence[Member], scratch: str | None) -> list[str]:
    """What verify finds at the canaries."""
    return [
        f"{drift.member.id}: {text}"
        for drift in _verifier(run, scratch).drifts(canaries)
        for text in (*drift.lines, *([drift.fault] if drift.fault else []))
    ]
