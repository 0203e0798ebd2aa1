"""The command line of `pgyoyo review`: which migrations, on which server, written how."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pgyoyo import settings
from pgyoyo.cli.context import load, migrator, place, scratch_target
from pgyoyo.cli.options import place_options, scratch_option
from pgyoyo.errors import UsageError

if TYPE_CHECKING:
    from pgyoyo.migrations.migration import File
    from pgyoyo.migrator import Migrator
    from pgyoyo.review.review import Chain
    from pgyoyo.review.sheet import Review

FORMATS = ("text", "markdown", "json", "sarif", "github", "html")
FAIL_ON = ("error", "warning", "note", "never")


@click.command()
@click.option("-q", "--quiet", is_flag=True, help="No progress, and of the text the verdict only.")
@place_options
@scratch_option
@click.option("--since", metavar="REF", help="Review what changed since the branch left REF: --since main.")
@click.option("--data", metavar="FILE", help="SQL that makes sample rows, so that row counts mean something.")
@click.option(
    "--format", "layout", type=click.Choice(FORMATS), default="text", help="How the sheets are written (text)."
)
@click.option("--output", metavar="FILE", help="Where they are written; else to stdout.")
@click.option("--fail-on", type=click.Choice(FAIL_ON), default="error", help="Exit with 1 for this and worse (error).")
@click.option("--no-timings", is_flag=True, help="Leave out what is measured, so that two runs write the same.")
@click.option("--rules", "list_rules", is_flag=True, help="List the rules of findings, and do nothing else.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
def review(
    ids: tuple[str, ...],
    since: str | None,
    database: str | None,
    migrations: tuple[str, ...],
    scratch: str | None,
    data: str | None,
    layout: str,
    output: str | None,
    fail_on: str,
    quiet: bool,  # noqa: FBT001 - click passes by name
    no_timings: bool,  # noqa: FBT001
    list_rules: bool,  # noqa: FBT001
) -> None:
    """Rehearse migrations on a scratch database: what each statement locks, rewrites and changes, and what is wrong."""
    from pgyoyo.review.render import dispatch
    from pgyoyo.review.review import with_live
    from pgyoyo.review.sheet import SEVERITIES, Review, verdict

    if list_rules:
        from pgyoyo.review.rules import rulebook

        width = max(map(len, rulebook()))
        click.echo(
            "\n".join(f"{rule.id.ljust(width)}  {rule.severity:7}  {rule.title}" for rule in rulebook().values())
        )
        return
    if ids and since is not None:
        raise UsageError("give ids or --since: one of them")
    if output and not Path(output).parent.is_dir():
        raise UsageError(
            f"{output} can't be written: there is no folder {Path(output).parent}; make it, or give another file"
        )
    rows = _file(data) if data else None
    with _chosen(ids, since, database, migrations) as (chain, target):
        if chain.reviewed:
            found = _reviewed(chain, target, scratch, rows, quiet=quiet)
            # The project's own embedded server says nothing of tables that matter.
            if target and not _is_embedded(database):
                found = with_live(found, target.conn, place(target))
        else:
            what = (
                f"no migration changed since {since}"
                if since
                else f"none is pending on {place(target)}"
                if target
                else ""
            )
            found = Review((), "", notes=(f"nothing to review: {what}; give ids: pgyoyo review ID",))
    written = dispatch.render(found, layout, timings=not no_timings, color=_color(output), width=_width(output))
    if output:
        _write(Path(output), written)
        click.echo(f"wrote {output}: {verdict(found.worst)}")
    elif quiet and layout == "text":
        click.echo(dispatch.last_line(found))
    else:
        click.echo(written, nl=False)
    if found.worst and fail_on != "never" and SEVERITIES.index(found.worst) <= SEVERITIES.index(fail_on):
        sys.exit(1)


@contextmanager
def _chosen(
    ids: tuple[str, ...], since: str | None, database: str | None, migrations: tuple[str, ...]
) -> "Iterator[tuple[Chain, Migrator | None]]":
    """The migrations to review, and the target to look at, if there is one.

    What is pending is asked of the target. With ids or a ref the project's own embedded server is not: it says nothing of
    the database that they are for.
    """
    from pgyoyo.migrations import reader
    from pgyoyo.review import selection

    try:
        found = load(database=database, migrations=migrations)
    except UsageError:
        if database:
            raise
        # No target at all: the files alone.
        found = load(database=settings.EMBEDDED, migrations=migrations)
        yield selection.by_files(reader.read(found.migrations), ids, since), None
        return
    by_name = bool(ids) or since is not None
    if by_name and not database and found.database == settings.EMBEDDED:
        yield selection.by_files(reader.read(found.migrations), ids, since), None
        return
    with migrator(database=database, migrations=migrations, quiet=True, verbose=False) as target:
        yield selection.by_files(target.folders, ids, since) if by_name else selection.pending(target), target


def _reviewed(
    chain: "Chain", target: "Migrator | None", scratch: str | None, data: "File | None", *, quiet: bool
) -> "Review":
    """The review, on a server of the target's version and with its time zone where there is a target."""
    from pgyoyo import console
    from pgyoyo.review import review as reviewing
    from pgyoyo.review import target as target_state
    from pgyoyo.scratch.databases import server as scratch_server

    found = load(database=settings.EMBEDDED)
    version = target.conn.info.server_version if target else found.server_version * 10000
    zone = target_state.timezone(target.conn) if target else "UTC"
    with scratch_server(scratch_target(scratch, version)) as admin:
        said = console.Console(quiet)
        return reviewing.review(admin, chain, said, data=data, alone=scratch is not None, timezone=zone)


def _is_embedded(database: str | None) -> bool:
    """Whether the target is the project's embedded server, and nobody asked for it by name."""
    return not database and load(database=database).database == settings.EMBEDDED


def _file(path: str) -> "File":
    """The file of sample rows; raises UsageError where it can't be read, DefectsError for what is no SQL text."""
    from pgyoyo.migrations import reader

    if not Path(path).is_file():
        raise UsageError(f"{path} is not there; --data names a file of SQL")
    return reader.read_one(Path(path)).apply


def _write(path: Path, text: str) -> None:
    try:
        path.write_bytes(text.encode())
    except OSError as error:
        raise UsageError(f"{path} can't be written: {error.strerror}; give another file: --output FILE") from None


def _color(output: str | None) -> bool:
    return (
        output is None and sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def _width(output: str | None) -> int:
    return shutil.get_terminal_size((100, 24)).columns if output is None and sys.stdout.isatty() else 100
