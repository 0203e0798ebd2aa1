"""pgyoyo review: its options; what runs then, and all that it needs, is loaded only then."""

from typing import Any

import click

from pgyoyo import cli
from pgyoyo.cli.options import Duration, Size, examples, place_options, scratch_option

FORMATS = ("text", "markdown", "json", "sarif", "github", "html")
FAIL_ON = ("error", "warning", "paperwork", "note", "never")  # the severities of review/sheet.py, which loads more


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
@click.option(
    "--new-queries",
    metavar="FILE",
    help="File of the statements of the new release, judged after the rollback.",
)
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
@click.option("--no-timings", is_flag=True, help="Leave out measurements, so that two runs print the same.")
@click.option("--rules", "list_rules", is_flag=True, help="List the rules, or show the pages of those named, and exit.")
@click.option("-q", "--quiet", is_flag=True, help="Print no progress; with --format text, only the verdict.")
@click.argument("ids", nargs=-1, metavar="[ID]...")
def review(**options: Any) -> None:
    """Show what each statement locks, rewrites and changes.

    Runs the pending migrations, or the ones you name, on a scratch database, and reports what is wrong with them. The
    target database is only read.
    """
    cli.review_run.run(**options)
