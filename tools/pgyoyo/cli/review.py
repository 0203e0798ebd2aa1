"""pgyoyo review: which migrations, on which server, written how."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from psycopg import Connection

from pgyoyo.cli import fleet_review, fleet_sizes
from pgyoyo.cli.config import load
from pgyoyo.cli.context import migrator, place, scratch_target
from pgyoyo.cli.fleet_run import FleetRun, opened
from pgyoyo.cli.options import Duration, Size, examples, place_options, scratch_option
from pgyoyo.cli.output import require_folder, write
from pgyoyo.console import Console
from pgyoyo.errors import ConnectError, UsageError
from pgyoyo.migrations import reader
from pgyoyo.migrations.migration import File
from pgyoyo.migrator import Migrator
from pgyoyo.review import live, selection
from pgyoyo.review import review as reviewing
from pgyoyo.review import sizes as sizing
from pgyoyo.review.render import dispatch
from pgyoyo.review.render.rule_page import rule_page
from pgyoyo.review.review import Chain
from pgyoyo.review.rulebook import rulebook
from pgyoyo.review.running import Releases, Running
from pgyoyo.review.sheet import SEVERITIES, Review, verdict
from pgyoyo.review.sizes import Sizes
from pgyoyo.scratch import databases
from pgyoyo.scratch import defaults as session_defaults
from pgyoyo.settings import EMBEDDED, Settings
from pgyoyo.workload.statements import read as read_queries

FORMATS = ("text", "markdown", "json", "sarif", "github", "html")
FAIL_ON = (*SEVERITIES, "never")


@click.command(
    epilog=examples(
        "pgyoyo review",
        "pgyoyo review --since main --format github",
        "pgyoyo review 0007 --data sql/sample_data.sql --format html --output review.html",
        "pgyoyo review --rules index-not-concurrently",
    )
)
@place_options
@scratch_option
@click.option(
    "--fleet", metavar="NAME", help="Review for all members of a fleet, with the sizes of the largest tables."
)
@click.option("--since", metavar="REF", help="Review what changed since this branch left REF, such as main.")
@click.option("--sizes", metavar="FILE", help="File of table sizes that pgyoyo sizes wrote; no login is needed then.")
@click.option("--small", type=Size(), metavar="SIZE", help="Tables below this size are small (10MB).")
@click.option("--queries", metavar="FILE", help="File of the statements that the running release sends, to be judged.")
@click.option("--new-queries", metavar="FILE", help="The same of the new release, judged after the rollback.")
@click.option("--data", metavar="FILE", help="SQL file that inserts sample rows, for realistic row counts.")
@click.option(
    "--format", "layout", type=click.Choice(FORMATS), default="text", show_default=True, help="Output format."
)
@click.option("--output", metavar="FILE", help="File to write to; by default stdout.")
@click.option(
    "--fail-on", type=click.Choice(FAIL_ON), default="error", show_default=True,
    help="Exit with 1 for a finding of this severity or worse.",
)  # fmt: skip
@click.option(
    "--fail-on-lock", type=Duration(), metavar="TIME",
    help="Exit with 1 where a table of known size may be blocked for longer.",
)  # fmt: skip
@click.option("--no-timings", is_flag=True, help="Leave out measurements, so that two runs write the same.")
@click.option("--rules", "list_rules", is_flag=True, help="List the rules, or show the pages of those named, and exit.")
@click.option("-q", "--quiet", is_flag=True, help="Print no progress; with --format text, only the verdict.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
def review(
    ids: tuple[str, ...],
    fleet: str | None,
    since: str | None,
    database: str | None,
    migrations: tuple[str, ...],
    scratch: str | None,
    sizes: str | None,
    small: int | None,
    queries: str | None,
    new_queries: str | None,
    data: str | None,
    layout: str,
    output: str | None,
    fail_on: str,
    fail_on_lock: float | None,
    quiet: bool,  # noqa: FBT001 - click passes by name
    no_timings: bool,  # noqa: FBT001
    list_rules: bool,  # noqa: FBT001
) -> None:
    """Show what each statement locks, rewrites and changes.

    Runs the pending migrations, or the ones you name, on a scratch database, and reports what is wrong with them. The
    target database is only read.
    """
    console = Console()
    if list_rules and ids:
        for name in ids:
            console.answer(f"{rule_page(name)}\n")
        return
    if list_rules:
        width = max(map(len, rulebook()))
        for rule in rulebook().values():
            console.answer(f"{rule.id.ljust(width)}  {rule.severity:9}  {rule.title}")
        return
    if ids and since is not None:
        raise UsageError("use either IDs or --since, not both")
    if fleet and sizes:
        raise UsageError("use either --fleet, which asks the members, or --sizes with a file of pgyoyo sizes --fleet")
    require_folder(output)
    rows = _sample_rows(data) if data else None
    config = load(database=database, migrations=migrations)
    releases = Releases(
        _release(queries or config.queries, "the running release"),
        _release(new_queries or config.new_queries, "the new release after the rollback"),
    )
    path = None if fleet else sizes or config.sizes
    known = sizing.read(Path(path)) if path else None
    if fail_on_lock is not None and not (fleet or known or database or config.database not in (None, EMBEDDED)):
        raise UsageError("--fail-on-lock needs the sizes of the tables: --sizes FILE, or --database URL")
    limit = next(size for size in (small, config.small, live.SMALL) if size is not None)
    if fleet:
        with opened(fleet, database=database, migrations=migrations) as run:
            result = _of_fleet(run, ids, since, limit, scratch, rows, releases, quiet=quiet)
    else:
        result = _of_database(
            config, ids, since, known, limit, scratch, rows, releases, is_named=bool(database), has_sizes=bool(sizes),
            quiet=quiet,
        )  # fmt: skip
    written = dispatch.render(result, layout, timings=not no_timings, color=_color(output), width=_width(output))
    if output:
        write(output, written)
        console.answer(f"wrote {output}: {verdict(result.worst)}")
    elif quiet and layout == "text":
        console.answer(dispatch.last_line(result))
    else:
        console.data(written.removesuffix("\n"), printable=layout == "text")
    too_long = live.longest_waits(result, fail_on_lock) if fail_on_lock is not None else []
    for line in too_long:
        console.warn(f"{line}: more than --fail-on-lock")
    if too_long or (
        result.worst and fail_on != "never" and SEVERITIES.index(result.worst) <= SEVERITIES.index(fail_on)
    ):
        sys.exit(1)


def _of_database(
    config: Settings,
    ids: tuple[str, ...],
    since: str | None,
    known: Sizes | None,
    small: int,
    scratch: str | None,
    rows: File | None,
    releases: Releases,
    *,
    is_named: bool,
    has_sizes: bool,
    quiet: bool,
) -> Review:
    """The review for one database, or for none."""
    with _chosen(config, ids, since, is_named=is_named, has_sizes=has_sizes) as (chain, target):
        if not chain.reviewed:
            reason = (
                f"no migration changed since {since}"
                if since
                else f"none is pending on {place(target)}"
                if target
                else ""
            )
            return Review((), "", notes=(f"nothing to review: {reason}; name migrations: pgyoyo review ID",))
        # The sizes of tables on the project's own embedded server mean nothing.
        real = target if is_named or config.database != EMBEDDED else None
        facts = _Production(real, known if has_sizes or not real else None, small)
        version = target.conn.info.server_version if target else known.server_version if known else None
        status = target.status() if target else None
        defaults = session_defaults.read(target.conn, chain.migrations, status.schema) if target and status else None
        return _reviewed(config, chain, version, defaults, facts, scratch, rows, releases, quiet=quiet)


def _of_fleet(
    run: FleetRun,
    ids: tuple[str, ...],
    since: str | None,
    small: int,
    scratch: str | None,
    rows: File | None,
    releases: Releases,
    *,
    quiet: bool,
) -> Review:
    """The review for the members of a fleet; raises ConnectError if none of them answers."""
    faults, reviews = fleet_sizes.Faults(), []
    parts = fleet_review.parts(run)
    ids = tuple(fleet_review.chosen_ids(parts, ids))
    for part in parts:
        part.ask(run, faults)
    if not any(part.defaults for part in parts):
        raise ConnectError("\n".join(faults.lines()))
    for part in parts:
        chain = part.chain(ids, since)
        if chain.reviewed:
            facts = _Production(None, None, small, fleet_review.sized(run, part, faults))
            reviews.append(
                _reviewed(run.config, chain, part.version, part.defaults, facts, scratch, rows, releases, quiet=quiet)
            )
    return fleet_review.joined(reviews, faults.lines())


@contextmanager
def _chosen(
    config: Settings, ids: tuple[str, ...], since: str | None, *, is_named: bool, has_sizes: bool
) -> Iterator[tuple[Chain, Migrator | None]]:
    """The migrations to review, and the target to look at, if there is one.

    The target tells what is pending. For ids or a ref the project's own embedded server is left alone, unless --database
    names it: it is not the database that they are for. --sizes stands for any that --database does not name.
    """
    by_name = bool(ids) or since is not None
    if config.database is None or (by_name and not is_named and (has_sizes or config.database == EMBEDDED)):
        yield selection.by_files(reader.read(config.migrations), ids, since), None
        return
    with migrator(config, quiet=True) as target:
        if ids:
            yield selection.among_pending(target, ids), target
        else:
            yield selection.by_files(target.folders, ids, since) if by_name else selection.pending(target), target


@dataclass(frozen=True, slots=True)
class _Production:
    """What is known of the database that the migrations are for: itself, a file of sizes, or `more`; `small` is in bytes."""

    target: Migrator | None
    sizes: Sizes | None
    small: int
    more: Callable[[Review], Review] | None = None

    def added_to(self, result: Review, admin: Connection) -> Review:
        """The review with sizes, what the rows will refuse, and estimates."""
        if self.target:
            result = live.with_live(result, self.target.conn, place(self.target))
        if self.sizes:
            result = live.with_sizes(result, self.sizes)
        if self.more:
            result = self.more(result)
        return live.softened(live.with_estimates(result, admin), self.small)


def _reviewed(
    config: Settings,
    chain: Chain,
    version: int | None,
    defaults: session_defaults.Defaults | None,
    production: _Production,
    scratch: str | None,
    data: File | None,
    releases: Releases,
    *,
    quiet: bool,
) -> Review:
    """The review, on a server of that version, with what the target's sessions begin with."""
    console = Console(quiet)
    with databases.server(scratch_target(config, scratch, version), console.note) as admin:
        result = reviewing.review(
            admin,
            chain,
            console,
            data=data,
            alone=scratch is not None,
            defaults=defaults,
            running=releases.running,
            new=releases.new,
        )
        return production.added_to(result, admin)


def _release(path: str | None, words: str) -> Running | None:
    """The statements of a release; raises UsageError where the file can't be read, DefectsError for what is wrong in it."""
    return Running(Path(path), read_queries(Path(path)), words) if path else None


def _sample_rows(path: str) -> File:
    """The file of sample rows; raises UsageError where there is none, DefectsError where it can't be read as SQL."""
    if not Path(path).is_file():
        raise UsageError(f"{path} does not exist; --data names a file of SQL")
    return reader.read_one(Path(path)).apply


def _color(output: str | None) -> bool:
    return (
        output is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def _width(output: str | None) -> int:
    return shutil.get_terminal_size((100, 24)).columns if output is None and sys.stdout.isatty() else 100
