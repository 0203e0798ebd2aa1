"""The review that a command line asks for, of the migrations of a database or of a fleet."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg import Connection

from pgyoyo.cli import fleet_review, fleet_sizes
from pgyoyo.cli.config import load
from pgyoyo.cli.context import migrator, place, scratch_target
from pgyoyo.cli.fleet_run import FleetRun, opened
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


@dataclass(frozen=True, slots=True)
class Request:
    """The migrations by `ids` or as changed `since` a ref, else what is pending, and what they are reviewed with.

    `scratch` is the URL of the server to use, `rows` are the sample rows, `small` is in bytes; `quiet`: without progress.
    """

    ids: tuple[str, ...]
    since: str | None
    scratch: str | None
    rows: File | None
    releases: Releases
    small: int
    quiet: bool

    @property
    def by_name(self) -> bool:
        """Whether it says which migrations it means."""
        return bool(self.ids) or self.since is not None


def run(
    *,
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
    quiet: bool,
    no_timings: bool,
    list_rules: bool,
) -> None:
    """Write the review that the options of the command ask for; exits with 1 for what --fail-on and --fail-on-lock name."""
    console = Console()
    if list_rules:
        _show_rules(ids, console)
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


def _show_rules(names: tuple[str, ...], console: Console) -> None:
    """The pages of the rules named, or the list of all."""
    for name in names:
        console.answer(f"{rule_page(name)}\n")
    width = max(map(len, rulebook()))
    for rule in () if names else rulebook().values():
        console.answer(f"{rule.id.ljust(width)}  {rule.severity:9}  {rule.title}")


@dataclass(frozen=True, slots=True)
class _Production:
    """What is known of the database that the migrations are for: itself, a file of sizes, or `more`."""

    target: Migrator | None
    sizes: Sizes | None
    more: Callable[[Review], Review] | None = None

    def added_to(self, result: Review, admin: Connection, small: int) -> Review:
        """The review with sizes, what the rows will refuse, and estimates."""
        if self.target:
            result = live.with_live(result, self.target.conn, place(self.target))
        if self.sizes:
            result = live.with_sizes(result, self.sizes)
        if self.more:
            result = self.more(result)
        return live.softened(live.with_estimates(result, admin), small)


def of_database(config: Settings, request: Request, known: Sizes | None, *, is_named: bool, has_sizes: bool) -> Review:
    """The review for one database, or for none; `known` are the sizes of a file.

    `is_named`: --database names it; `has_sizes`: --sizes names the file.
    """
    with _chosen(config, request, is_named=is_named, has_sizes=has_sizes) as (chain, target):
        if not chain.reviewed:
            reason = (
                f"no migration changed since {request.since}"
                if request.since
                else f"none is pending on {place(target)}"
                if target
                else "no folder has a migration"
            )
            return Review((), "", notes=(f"nothing to review: {reason}; name migrations: pgyoyo review ID",))
        # The sizes of tables on the project's own embedded server mean nothing.
        real = target if is_named or config.database != EMBEDDED else None
        facts = _Production(real, known if has_sizes or not real else None)
        version = target.conn.info.server_version if target else known.server_version if known else None
        status = target.status() if target else None
        defaults = session_defaults.read(target.conn, chain.migrations, status.schema) if target and status else None
        return _reviewed(config, request, chain, version, defaults, facts)


def of_fleet(run: FleetRun, request: Request) -> Review:
    """The review for the members of a fleet; raises ConnectError if none of them answers."""
    faults, reviews = fleet_sizes.Faults(), []
    parts = fleet_review.parts(run)
    ids = tuple(fleet_review.chosen_ids(parts, request.ids))
    for part in parts:
        part.ask(run, faults)
    if not any(part.defaults for part in parts):
        raise ConnectError("\n".join(faults.lines()))
    for part in parts:
        chain = part.chain(ids, request.since)
        if chain.reviewed:
            facts = _Production(None, None, fleet_review.sized(run, part, faults))
            reviews.append(_reviewed(run.config, request, chain, part.version, part.defaults, facts))
    return fleet_review.joined(reviews, faults.lines())


@contextmanager
def _chosen(
    config: Settings, request: Request, *, is_named: bool, has_sizes: bool
) -> Iterator[tuple[Chain, Migrator | None]]:
    """The migrations to review, and the target to look at, if there is one.

    The target tells what is pending. For ids or a ref the project's own embedded server is left alone, unless --database
    names it: it is not the database that they are for. --sizes stands for any that --database does not name.
    """
    ids, since, by_name = request.ids, request.since, request.by_name
    if config.database is None or (by_name and not is_named and (has_sizes or config.database == EMBEDDED)):
        yield selection.by_files(reader.read(config.migrations), ids, since), None
        return
    with migrator(config, quiet=True) as target:
        if ids:
            yield selection.among_pending(target, ids), target
        else:
            yield selection.by_files(target.folders, ids, since) if by_name else selection.pending(target), target


def _reviewed(
    config: Settings,
    request: Request,
    chain: Chain,
    version: int | None,
    defaults: session_defaults.Defaults | None,
    production: _Production,
) -> Review:
    """The review, on a server of that version, with what the target's sessions begin with."""
    console = Console(request.quiet)
    with databases.server(scratch_target(config, request.scratch, version), console.note) as admin:
        result = reviewing.review(
            admin,
            chain,
            console,
            data=request.rows,
            alone=request.scratch is not None,
            defaults=defaults,
            running=request.releases.running,
            new=request.releases.new,
        )
        return production.added_to(result, admin, request.small)


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
