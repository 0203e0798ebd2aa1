"""pgyoyo review: which migrations, on which server, written how."""

import os
import shutil
import sys
from pathlib import Path

import click

from pgyoyo.cli.config import load
from pgyoyo.cli.fleet_run import opened
from pgyoyo.cli.options import Duration, Size, examples, place_options, scratch_option
from pgyoyo.cli.output import require_folder, write
from pgyoyo.cli.review_run import Request, of_database, of_fleet
from pgyoyo.console import Console
from pgyoyo.errors import UsageError
from pgyoyo.migrations import reader
from pgyoyo.migrations.migration import File
from pgyoyo.review import live
from pgyoyo.review import sizes as sizing
from pgyoyo.review.render import dispatch
from pgyoyo.review.render.rule_page import rule_page
from pgyoyo.review.rulebook import rulebook
from pgyoyo.review.running import Releases, Running
from pgyoyo.review.sheet import SEVERITIES, verdict
from pgyoyo.settings import EMBEDDED
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
    request = Request(ids, since, scratch, rows, releases, limit, quiet)
    if fleet:
        with opened(fleet, database=database, migrations=migrations) as run:
            result = of_fleet(run, request)
    else:
        result = of_database(config, request, known, is_named=bool(database), has_sizes=bool(sizes))
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
