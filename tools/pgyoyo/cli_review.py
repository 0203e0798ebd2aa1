"""The command line of `pgyoyo review`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pgyoyo import settings
from pgyoyo.context import load, migrator, place, scratch_target
from pgyoyo.errors import UsageError
from pgyoyo.options import place_options, scratch_option

if TYPE_CHECKING:
    from pgyoyo.review import Review
    from pgyoyo.settings import Settings

FORMATS = ("text", "markdown", "json", "sarif", "github", "html")
FAIL_ON = ("error", "warning", "note", "never")


@click.command()
@click.option("-q", "--quiet", is_flag=True, help="Print the sheets only, and of the text only the verdict.")
@place_options
@scratch_option
@click.option("--since", metavar="REF", help="Review what differs from where the branch left REF: --since main.")
@click.option("--data", metavar="FILE", help="SQL with sample rows, so that row counts mean something.")
@click.option("--format", "layout", type=click.Choice(FORMATS), default="text", help="How the sheets are written (text).")
@click.option("--output", metavar="FILE", help="Write the sheets there.")
@click.option("--fail-on", type=click.Choice(FAIL_ON), default="error", help="Exit with 1 at this severity (error).")
@click.option("--no-timings", is_flag=True, help="Leave out what is measured, so that two runs give the same sheets.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
def review(
    ids: tuple[str, ...], quiet: bool, since: str | None, layout: str, output: str | None, fail_on: str,  # noqa: FBT001
    no_timings: bool, **options: Any,  # noqa: FBT001 - click passes by name
) -> None:  # fmt: skip
    """Rehearse migrations on a scratch database: what each statement locks, rewrites and changes, and what is wrong with it."""
    from pgyoyo import rendering  # noqa: PLC0415 - see context.py
    from pgyoyo.choice import refuse_both  # noqa: PLC0415
    from pgyoyo.sheet import SEVERITIES, verdict  # noqa: PLC0415

    refuse_both(ids, since)
    found = _review(ids, since, quiet=quiet, **options)
    if isinstance(found, str):
        click.echo(found)
        return
    text = rendering.render(found, layout, timings=not no_timings, quiet=quiet, terminal=output is None)
    if output:
        _write(Path(output), text)
        if not quiet:
            click.echo(f"wrote {output}: {verdict(found.worst)}")
    else:
        click.echo(text, nl=False)
    if found.worst and fail_on != "never" and SEVERITIES.index(found.worst) <= SEVERITIES.index(fail_on):
        sys.exit(1)
