"""pgyoyo fleet apply, status, verify, rollback: one change over many databases or schemas."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any

import click

from pgyoyo.cli.context import scratch_target
from pgyoyo.cli.fleet_run import CANARY, LIMITS, FleetRun, interruptible, opened
from pgyoyo.cli.options import examples, format_option, place_options, quiet_option, runs, scratch_option
from pgyoyo.console import Console
from pgyoyo.errors import UsageError
from pgyoyo.fleet import canary, report
from pgyoyo.fleet.members import Member
from pgyoyo.fleet.run import exit_code
from pgyoyo.fleet.verify import Verifier, faults_together, sharing, together
from pgyoyo.fleet.visit import AT_HEAD, UNCHANGED, Visit
from pgyoyo.schema.verify import Ignore
from pgyoyo.sql.header import PHASES
from pgyoyo.units import number

_AT_ONCE = ("jobs", "per_server", "max_connections")


def _options(texts: dict[str, tuple[str, str]]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for name, (metavar, text) in reversed(texts.items()):
            command = click.option(f"--{name.replace('_', '-')}", metavar=metavar, help=text)(command)
        return command

    return decorate


def _common(command: Any) -> Any:
    """NAME, or where the members are; and how much to print."""
    for add in (
        quiet_option, format_option, place_options,
        click.option("--schemas", metavar="PATTERN", help="Schemas of the database, as 'tenant_%', in place of NAME."),
        click.option("--databases", "listed", metavar="FILE", help="File with one database per line, in place of NAME."),
        click.argument("name", required=False),
    ):  # fmt: skip
        command = add(command)
    return command


@click.group(
    epilog=examples("pgyoyo fleet status tenants", "pgyoyo fleet apply tenants --jobs 8", "pgyoyo fleet verify tenants")
)
def fleet() -> None:
    """Apply, roll back and compare over many databases or schemas.

    [[tool.pgyoyo.fleet]] lists the members of a fleet. Each member has its own ledger, lock, session and retries.
    """


@fleet.command(epilog=examples("pgyoyo fleet apply tenants", "pgyoyo fleet apply --schemas 'tenant_%' --max-lock 2s"))
@_common
@click.option("--to", "target_id", metavar="ID", help="Last migration to apply.")
@click.option("--strict", is_flag=True, help="Fail on files that are out of order, missing or from two branches.")
@click.option(
    "--phase",
    type=click.Choice(PHASES),
    help="expand: before a deployment, all but contract migrations; contract: after it, those.",
)
@click.option(
    "--canary", metavar="ID|N|N%", multiple=True, help="Members that run alone before the others (1); 0 for none."
)
@_options(LIMITS | CANARY)
@runs
@scratch_option
def apply(
    name: str | None,
    target_id: str | None,
    strict: bool,  # noqa: FBT001 - click passes by name
    phase: str | None,
    canary: tuple[str, ...],
    scratch: str | None,
    **options: Any,
) -> None:
    """Apply the pending migrations to all members.

    The canary runs alone, and what it cost is shown; then the others run in parallel. A member that fails is left as
    it is, and the others go on. Run it again to try those that failed or were not reached.
    """
    with opened(name, canary=canary, strict=strict, phase=phase, target_id=target_id, **options) as run:
        run.check = lambda canaries: _unwell(run, canaries, scratch)
        _show(run, run.apply(), "applied", **_looks(options))


@fleet.command(epilog=examples("pgyoyo fleet rollback tenants --to 0041 --yes"))
@_common
@click.option("--to", "target_id", metavar="ID", help="Roll back everything after this one, which stays applied.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Roll back the last N migrations (1).")
@click.option("--yes", is_flag=True, help="Roll back without asking.")
@_options(LIMITS)
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
    with opened(name, target_id=target_id, count=count, **options) as run:
        what = f"everything after {run.visitor.options.target}" if target_id else f"the last {count or 1}"
        if not yes and not (
            sys.stdin.isatty() and click.confirm(f"Roll back {what} at {number(len(run.members), 'member')}?")
        ):
            raise UsageError("nothing was rolled back; --yes rolls back without asking")
        _show(run, run.rollback(), "rolled back", **_looks(options))


@fleet.command(epilog=examples("pgyoyo fleet status tenants", "pgyoyo fleet status tenants --format json"))
@_common
@_options({name: LIMITS[name] for name in _AT_ONCE})
@click.option("--exit-code", is_flag=True, help="Exit with 3 if migrations are pending anywhere.")
def status(name: str | None, exit_code: bool, **options: Any) -> None:  # noqa: FBT001 - click passes by name
    """Show where the members stand.

    Read-only; takes no lock.
    """
    with opened(name, **options) as run:
        tally = _show(run, run.look(), "", **_looks(options))
    if exit_code and tally.states["pending"]:
        sys.exit(3)


@fleet.command(epilog=examples("pgyoyo fleet verify tenants"))
@_common
@_options({name: LIMITS[name] for name in _AT_ONCE})
@scratch_option
@click.option(
    "--ignore", "patterns", metavar="PATTERN", multiple=True, help='Expected differences, as "index *.tmp_*".'
)
def verify(name: str | None, scratch: str | None, patterns: tuple[str, ...], **options: Any) -> None:
    """Compare the schema of each member with what its migrations give.

    Members that differ in the same way are shown together. Read-only. Exits with 4 if anything differs.
    """
    with opened(name, **options) as run:
        console, drifts = Console(), []
        for drift in _verifier(run, scratch, patterns).drifts(run.members, run.fleet.limits):
            drifts.append(drift)
            if options["layout"] == "json":
                console.data(drift.as_json())
        places = {member.id: place for place, member in enumerate(run.members)}
        drifts.sort(key=lambda drift: places[drift.member.id])
        differing, faults = together(drifts), faults_together(drifts)
        if options["layout"] == "text":
            for lines, ids in differing.items():
                verb = "differs" if len(ids) == 1 else "differ in the same way"
                head = f"{number(len(ids), 'member')} {verb}: {report.names(ids)}"
                console.answer("\n".join([head, *(f"    {line}" for line in lines)]))
            for fault, ids in faults.items():
                console.warn(f"{report.names(ids)} could not be compared: {fault}")
            agreeing = sum(not drift.lines and not drift.fault for drift in drifts)
            console.answer(f"{run.fleet.name}: {agreeing} of {number(len(drifts), 'member')} agree with the files")
    if differing:
        sys.exit(4)
    if faults:
        sys.exit(1)


def _looks(options: dict[str, Any]) -> dict[str, Any]:
    return {"quiet": options["quiet"], "layout": options["layout"]}


def _show(run: FleetRun, visits: Iterator[Visit], verb: str, *, quiet: bool, layout: str) -> report.Tally:
    """Show each visit as it ends, and at the end the summary; exits as a single apply does."""
    console, tally = Console(), report.Tally()
    width = max(len(member.id) for member in run.members)
    is_live = layout == "text" and sys.stdout.isatty() and not quiet
    if is_live:
        from pgyoyo.fleet.live import Progress  # loads rich

    with interruptible(run), Progress(run).shown() if is_live else nullcontext() as progress:
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


def _verifier(run: FleetRun, scratch: str | None, patterns: Sequence[str] = ()) -> Verifier:
    config = run.config
    rules = [Ignore(pattern, reason) for pattern, reason in config.ignore] + [
        Ignore(text, "--ignore") for text in patterns
    ]
    return Verifier(
        run.visitor.folders, lambda version: scratch_target(config, scratch, version), rules, run.visitor.sessions,
        sharing(run.fleet, run.members),
    )  # fmt: skip


def _unwell(run: FleetRun, canaries: Sequence[Member], scratch: str | None) -> list[str]:
    """What is wrong at the canaries some time after their run: waits, invalid indexes, and what verify finds."""
    return [
        f"{drift.member.id}: {text}"
        for drift in _verifier(run, scratch).drifts(canaries, run.fleet.limits)
        for text in (*canary.troubles(drift.member), *drift.lines, *filter(None, [drift.fault]))
    ]
